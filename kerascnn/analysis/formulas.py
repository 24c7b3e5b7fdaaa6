"""How many multiply-adds a layer takes: tables {class: formula}, and of what takes none.

One MAC is one multiply-add. Convolutions, matrix products and the products inside attention and recurrent cells count;
biases, normalization, pooling, activations, elementwise products, resizing and look-ups do not, which is the convention
of the published tables. Counts are those of inference.
"""

import math
from collections.abc import Callable

import keras

from kerascnn import layers
from kerascnn.surgery.graph import Call, Value, has_graph, walk

Formula = Callable[[Call], int]


class Unknown(Exception):
    """A layer inside the one that was asked for has no formula; the message is "name (Class)"."""


def macs(call: Call) -> int:
    """Multiply-adds of one call.

    Args:
        call: of `graph.walk`, all its sizes known.

    Returns:
        The number, for the batch of the call.

    Raises:
        Unknown: neither a formula nor the list of free classes tells.
    """
    if has_graph(call.operation):
        return sum(map(macs, walk(call.operation, [value.shape[1:] for value in call.inputs]).calls))
    formula = _find(type(call.operation))
    if formula is None:
        raise Unknown(f"{call.name} ({type(call.operation).__name__})")
    return formula(call)


def _find(kind: type) -> Formula | None:
    if not issubclass(kind, keras.layers.Layer):
        own = kind.__module__.startswith("keras.")  # operations have no public classes, only names
        return OPERATIONS.get(kind.__name__) if own else None
    if kind.__module__.startswith("keras.") and kind.__name__ in ("CustomScaleLayer", "LayerScale", "StochasticDepth"):
        return _free  # of keras.applications, which does not export them
    for base in kind.__mro__:
        if base in FORMULAS:
            return FORMULAS[base]
        if base in FREE:
            return _free
        if "call" in vars(base) or "convolution_op" in vars(base):
            return None  # it computes in another way than its base
    return None


def _free(call):
    return 0


def _inner(layer, x, y=()):
    """Multiply-adds of a layer that this one calls, shapes x -> y."""
    values = [Value(-1, tuple(shape), "float32") for shape in (x, y)]
    return macs(Call(layer.name, layer, (values[0],), (values[1],)))


def _positions(shape, layer):
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else len(shape) - 1
    return math.prod(shape[:channels] + shape[channels + 1 :])


def _kernel(call):
    """Each output position meets the whole kernel once: convolutions (groups included) and dense layers."""
    return _positions(call.y, call.operation) * math.prod(call.operation.kernel.shape)


def _transposed(call):
    return _positions(call.x, call.operation) * math.prod(call.operation.kernel.shape)


def _separable(call):
    layer = call.operation
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return _positions(call.y, layer) * kernels


def _deformable(call):
    """The two convolutions; the bilinear sampling between them is not counted, like all interpolation."""
    layer = call.operation
    return _positions(call.y, layer) * (math.prod(layer.kernel.shape) + math.prod(layer.offset_kernel.shape))


def _einsum(equation, *shapes):
    """The product of the sizes of all labels: what a contraction of two tensors takes."""
    if len(shapes) < 2:
        return 0
    sizes, rest = {}, 1
    for term, shape in zip(equation.replace(" ", "").split("->")[0].split(","), shapes, strict=True):
        before, dots, after = term.partition("...")
        if dots:
            rest = max(rest, math.prod(shape[len(before) : len(shape) - len(after)]))
        named = [*zip(before, shape, strict=False), *zip(after, shape[len(shape) - len(after) :], strict=False)]
        sizes |= {label: max(size, sizes.get(label, 1)) for label, size in named}
    return rest * math.prod(sizes.values())


def _einsum_dense(call):
    return _einsum(call.operation.equation, call.x, call.operation.kernel.shape)


def _reversible_embedding(call):
    layer = call.operation
    return math.prod(call.x) * layer.input_dim if call.arguments.get("reverse") else 0


def _dot(call):
    axes = call.operation.axes
    return math.prod(call.y) * call.x[axes if isinstance(axes, int) else axes[0]]


def _queries(call):
    """Shapes of query, value and key of Keras' attention layers without weights."""
    query, value, *key = call.arguments["inputs"]
    return query.shape, value.shape, (key[0] if key else value).shape


def _attention(call):
    query, value, key = _queries(call)
    layer = call.operation
    per_score = key[-1]
    if getattr(layer, "score_mode", "dot") == "concat":
        per_score = key[-1] if layer.use_scale else 0  # a sum of tanh, scaled or not
    return math.prod(query[:-1]) * value[-2] * (per_score + value[-1])


def _additive_attention(call):
    query, value, key = _queries(call)
    per_score = key[-1] if call.operation.use_scale else 0
    return math.prod(query[:-1]) * value[-2] * (per_score + value[-1])


def _heads(call, heads, heads_in, key_dim, value_dim, axes):
    """Projections of query, key and value, scores, weighted sums, gate, projection of the result."""
    query, value = call.arguments["query"].shape, call.arguments["value"].shape
    key = (call.arguments.get("key") or call.arguments["value"]).shape
    positions, seen = math.prod(query[:-1]), math.prod(value[axis] for axis in axes)
    total = math.prod(query) * heads * key_dim
    total += math.prod(key) * heads_in * key_dim + math.prod(value) * heads_in * value_dim
    total += positions * seen * heads * (key_dim + value_dim)
    if call.operation.get_config().get("use_gate"):
        total += math.prod(query) * heads * value_dim
    return total + math.prod(call.y) * heads * value_dim


def _multi_head(call):
    layer = call.operation
    return _heads(call, layer.num_heads, layer.num_heads, layer.key_dim, layer.value_dim, layer.attention_axes)


def _self_attention(call):
    """Scores and weighted sums; the projections are layers of their own."""
    return 2 * call.y[1] * math.prod(call.y)


def _grouped_query(call):
    layer = call.operation
    return _heads(call, layer.num_query_heads, layer.num_key_value_heads, layer.head_dim, layer.head_dim, (1,))


def _cell(call):
    layer = call.operation
    return call.x[0] * (math.prod(layer.kernel.shape) + math.prod(layer.recurrent_kernel.shape))


def _stacked_cells(call):
    total, x = 0, call.x
    for cell in call.operation.cells:
        total += _inner(cell, x)
        size = cell.output_size if isinstance(cell.output_size, int) else cell.output_size[-1]
        x = (x[0], size)
    return total


def _recurrent(call):
    return call.x[1] * _inner(call.operation.cell, (call.x[0], *call.x[2:]))


def _convolutional_lstm(call):
    layer = call.operation
    y = (call.y[0], *call.y[2:]) if layer.return_sequences else call.y
    kernels = math.prod(layer.cell.kernel.shape) + math.prod(layer.cell.recurrent_kernel.shape)
    return call.x[1] * _positions(y, layer) * kernels


def _bidirectional(call):
    total = 0
    for layer in (call.operation.forward_layer, call.operation.backward_layer):
        y = layer.compute_output_shape(call.x)
        total += _inner(layer, call.x, y[0] if isinstance(y[0], list | tuple) else y)  # states come after it
    return total


def _time_distributed(call):
    x, y = ((shape[0], *shape[2:]) for shape in (call.x, call.y))
    return call.x[1] * _inner(call.operation.layer, x, y)


def _spectral(call):
    return _inner(call.operation.layer, call.x, call.y)  # the power iteration runs in training alone


def _spectrogram(call):
    layer = call.operation
    kernels = 1 if layer.mode in ("real", "imag", "stft") else 2  # "stft" gives both parts as outputs of their own
    return math.prod(call.y) * layer.frame_length * kernels


def _matmul(call):
    return math.prod(call.y) * _operands(call)[0][-1]


def _contraction(call):
    """[a, k] and [k, b] to [a, b], each letter the product of some axes."""
    return math.isqrt(math.prod(math.prod(shape) for shape in (*_operands(call), call.y)))


def _operands(call):
    """Shapes of the first two arguments; one of them may be a constant."""
    return [tuple(x.shape) for x in list(call.arguments.values())[:2]]


def _einsum_operation(call):
    shapes = [tuple(x.shape) for x in keras.tree.flatten(call.arguments) if hasattr(x, "shape")]
    if len(shapes) > 2:
        raise Unknown(f"{call.name} ({type(call.operation).__name__})")  # depends on the order of contraction
    return _einsum(call.operation.subscripts, *shapes)


def _convolution(call):
    return _positions(call.y, call.operation) * math.prod(_operands(call)[1])


def _transposed_convolution(call):
    return _positions(call.x, call.operation) * math.prod(_operands(call)[1])


def _separable_convolution(call):
    kernels = [math.prod(x.shape) for x in list(call.arguments.values())[1:3]]
    return _positions(call.y, call.operation) * sum(kernels)


def _dot_product_attention(call):
    query, key, value = (tuple(x.shape) for x in list(call.arguments.values())[:3])  # [batch, time, heads, size]
    return math.prod(query[:-1]) * key[1] * (query[-1] + value[-1])


def _performer_attention(call):
    """Random features of keys and queries, their sums, and what each query takes of them."""
    batch, tokens, width = call.y
    return batch * tokens * call.operation.features * (4 * width + 1)


def _window_attention(call):
    """Scores and weighted sums of each place with all places of its window."""
    return 2 * math.prod(call.y) * call.operation.window**2


def _classes(names: str) -> set[type]:
    """The layers of Keras of these names; a version of Keras may lack one."""
    return {getattr(keras.layers, name) for name in names.split() if hasattr(keras.layers, name)}


def _table(formula, names):
    return dict.fromkeys(_classes(names), formula)


# Layer class (or a base of it) -> multiply-adds of a call. You may add yours; what is in neither table is reported.
FORMULAS: dict[type, Formula] = {
    **_table(_kernel, "Dense Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D"),
    **_table(_separable, "SeparableConv1D SeparableConv2D"),
    **_table(_transposed, "Conv1DTranspose Conv2DTranspose Conv3DTranspose"),
    **_table(_einsum_dense, "EinsumDense"),
    **_table(_reversible_embedding, "ReversibleEmbedding"),
    **_table(_dot, "Dot"),
    **_table(_attention, "Attention"),
    **_table(_additive_attention, "AdditiveAttention"),
    **_table(_multi_head, "MultiHeadAttention"),
    **_table(_grouped_query, "GroupQueryAttention"),
    **_table(_cell, "SimpleRNNCell LSTMCell GRUCell"),
    **_table(_stacked_cells, "StackedRNNCells"),
    **_table(_recurrent, "RNN SimpleRNN LSTM GRU"),
    **_table(_convolutional_lstm, "ConvLSTM1D ConvLSTM2D ConvLSTM3D"),
    **_table(_bidirectional, "Bidirectional"),
    **_table(_time_distributed, "TimeDistributed"),
    **_table(_spectral, "SpectralNormalization"),
    **_table(_spectrogram, "STFTSpectrogram"),
    layers.Conv2D: _kernel,
    layers.PlainConv2D: _kernel,
    layers.BilinearUpsampling2D: _transposed,
    layers.DepthwiseConv2D: _kernel,
    layers.ConnectionTableConv2D: _kernel,
    layers.DeformableConv2D: _deformable,
    layers.PerformerAttention: _performer_attention,
    layers.SelfAttention: _self_attention,
    layers.WeightStandardizedConv2D: _kernel,
    layers.WindowAttention: _window_attention,
}

# Layers that hand on the tensor that they get, at inference: they take no memory of their own.
VIEWS: frozenset[type] = frozenset(
    _classes(
        "Identity Dropout AlphaDropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D ActivityRegularization Flatten Reshape"
    )
    # cut and padded maps are views where they stay as large
    | {layers.CropLike, layers.DropPath, layers.PadToMultiple, layers.ScheduledDropPath, layers.StageOutput}
)

# Layers that take no multiply-add by the convention above.
FREE: frozenset[type] = VIEWS | frozenset(
    _classes(
        "InputLayer Activation ReLU LeakyReLU PReLU ELU Softmax BatchNormalization GroupNormalization "
        "LayerNormalization RMSNormalization UnitNormalization Add Subtract Multiply Average Maximum Minimum "
        "Concatenate AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D "
        "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D "
        "GlobalMaxPooling3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
        "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Embedding Masking Permute RepeatVector "
        "Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D "
        # preprocessing; what is random does nothing at inference
        "Normalization Rescaling Resizing CenterCrop CategoryEncoding Discretization HashedCrossing Hashing "
        "IntegerLookup StringLookup TextVectorization AutoContrast ContrastLimitedAdaptiveHistogramEqualization "
        "Equalization Solarization MaxNumBoundingBoxes AugMix CutMix MixUp RandAugment RandomBrightness "
        "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing "
        "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization "
        "RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ZeroPadding3D"
    )
    | {
        layers.AveragePooling2D,
        layers.BatchNormalization,
        layers.ChannelPool,
        layers.ChannelSlice,
        layers.ClassToken,
        layers.FractalJoin,
        layers.FractalPath,
        layers.ImageInput,
        layers.LayerNormalization,
        layers.LocalResponseNormalization,
        layers.MaxPooling2D,
        layers.Progress,  # one number
        layers.PatchMerging,
        layers.PositionEmbedding,
        layers.RBFCodes,  # its fixed codes are +1 and -1
        layers.ResizeLike,
        layers.SAFPooling2D,
        layers.SamePadding2D,
        layers.ShakeShake,
        layers.SinusoidEmbedding,
        layers.Subsampling2D,
        layers.Unfold2D,  # a convolution with ones is how it is computed
        layers.ZeroPadShortcut,
    }
)

# The same for operations of `keras.ops` in a graph, by the names of their classes, which are not public.
VIEW_OPERATIONS = frozenset("ExpandDims Ravel Reshape Squeeze StopGradient".split())
_FREE_OPERATIONS = """
    Absolute Add All Amax Amin Any Append Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argsort
    Average BatchNorm BroadcastTo Cast Cbrt Ceil Celu Clip Concatenate ConvertToTensor Copy Cos Cosh CountNonzero
    CropImages Cumprod Cumsum DepthToSpace Diag Diagonal Diff Digitize Divide DivideNoNan Elu Equal Erf Erfc Erfinv Exp
    Exp2 Expm1 ExtractPatches Fabs Flip Floor FloorDivide Fmax Fmin Fmod Fold Full FullLike Gelu GetItem Glu Greater
    GreaterEqual HSVToRGB HardShrink HardSigmoid HardSilu HardTanh Isfinite Isinf Isnan LayerNorm LeakyRelu Less
    LessEqual Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp LogicalAnd LogicalNot LogicalOr LogicalXor Logsumexp
    Max Maximum Mean Median Min Minimum Mod Moments Moveaxis MultiHot Multiply NanToNum Negative Norm Normalize
    NotEqual OneHot OnesLike Pad PadImages Power Prod RGBToGrayscale RGBToHSV RMSNorm Reciprocal Relu Relu6 Repeat
    Resize Roll Rot90 Round Rsqrt SaturateCast Scatter ScatterUpdate SegmentReduction Select Selu Sigmoid Sign Silu
    Sin Sinh Slice SliceUpdate SoftShrink Softmax Softplus Softsign Sort SpaceToDepth SparsePlus SparseSigmoid
    Sparsemax Split Sqrt Square Squareplus Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh TanhShrink
    Threshold Tile TopK Transpose Tril Triu TrueDivide Trunc Unfold Unstack Var Where ZerosLike AdaptiveAveragePool
    AdaptiveMaxPool AveragePool MaxPool
"""
OPERATIONS: dict[str, Formula] = {
    **dict.fromkeys(VIEW_OPERATIONS, _free),
    **dict.fromkeys(_FREE_OPERATIONS.split(), _free),
    **dict.fromkeys(("Dot", "Inner", "Tensordot", "Vdot"), _contraction),
    **dict.fromkeys(("Conv", "DepthwiseConv"), _convolution),
    "Matmul": _matmul,
    "Einsum": _einsum_operation,
    "ConvTranspose": _transposed_convolution,
    "SeparableConv": _separable_convolution,
    "DotProductAttention": _dot_product_attention,
}
