"""Classifiers that slide over larger images: dense heads rewritten as convolutions."""

import keras

from kerascnn import _check, layers
from kerascnn._errors import InputError
from kerascnn.models.deep import deep_recursion
from kerascnn.surgery.adapters import merged_weights, refuse_quantized, without_adapters
from kerascnn.surgery.fields import receptive_field
from kerascnn.surgery.graph import Call, walk
from kerascnn.surgery.replace import called, copied, over, rebuild

_POOLS = {
    keras.layers.GlobalAveragePooling2D: keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D: keras.layers.MaxPooling2D,
}
_RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
_COLLAPSING = (*_POOLS, keras.layers.AdaptiveAveragePooling2D, *_RESHAPING)
# What acts on each feature alone, and without weights may stand anywhere in the head.
_POINTWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)
# What acts on the features of one place, all of which must be there.
_CHANNELWISE = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Softmax,
)


def fully_convolutional(model: keras.Model, *, pooled: bool = True) -> keras.Model:
    """Rewrites the head of a classifier as convolutions, so that it slides over larger images and maps its answers.

    A dense layer after a flattened map of height * width becomes a convolution with that window, every other dense
    layer a 1x1 convolution, both with the same weights (low-rank adapters merged); activations, dropout and
    normalization between them stay. A global pool becomes a pool over a window of the map's size, with stride 1. So the
    answer for an image of the original size is the same, as a map of 1x1, and every place of a larger map is the answer
    for one window of the image, computed once for what the windows share. `receptive_field` of the result tells how
    large the windows are and how far apart. Zeros that convolutions add around the image are added around the larger
    image, not each window, and gates that average the whole map, as in squeeze-and-excitation, average the larger one.

    Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, 2014, arXiv:1411.4038, section
    3.1; Sermanet et al.: OverFeat, 2013, arXiv:1312.6229, section 3.5.

    Args:
        model: a classifier of one image [batch, height, width, channels] of known size: any of this package, or a
            functional or sequential model whose last part is Flatten or a global pool, then dense layers or 1x1
            convolutions. It does not change, and shares no weights with the result.
        pooled: False leaves a global average pool out: every place of the map, at the original size too, has class
            scores of its own, whose average over the map is the answer where no activation follows (the class
            activation maps of Zhou et al. 2015, arXiv:1512.04150).

    Returns:
        A `keras.Model` of images [batch, any height, any width, channels] to [batch, h, w, classes].

    Raises:
        InputError: the model has several inputs or outputs, no such head, quantized layers, an input of unknown
            size, or layers that do not slide, such as attention over the whole image; or `pooled` is False and there is
            no average pool.
    """
    pooled = _check.flag("pooled", pooled)
    graph = walk(model)
    refuse_quantized(model, "A classifier is made to slide")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise InputError(
            "The model must have one input and one output. "
            f"Received: {len(graph.inputs)} inputs, {len(graph.outputs)} outputs"
        )
    if len(graph.inputs[0].shape) != 4 or None in graph.inputs[0].shape:
        raise InputError(
            "The model must take images [batch, height, width, channels] of a known size. "
            f"Received: input {model.input_shape}"
        )
    head = _head(graph)
    if not pooled and not isinstance(head[0].operation, keras.layers.GlobalAveragePooling2D):
        raise InputError(f"pooled=False is for a global average pool. Received: {called(head[0].operation)}")
    with deep_recursion():
        x, new = _trunk(model, head)
        return keras.Model(new, _slid(head if pooled else head[1:], x), name=f"{model.name}_convolutional")


def _head(graph) -> list[Call]:
    """The calls from the first that gives up the map, on the only path that leads to the output."""
    producer = {value.number: call for call in graph.calls for value in call.outputs}
    chain, value = [], graph.outputs[0]
    while value.number in producer and len(producer[value.number].inputs) == 1:
        chain.insert(0, producer[value.number])
        value = chain[0].inputs[0]
    places = [i for i, call in enumerate(chain) if isinstance(call.operation, _COLLAPSING)]
    if not places or len(graph.outputs[0].shape) != 2:
        raise InputError(
            "The model must end in Flatten or a global pool, and dense layers or 1x1 convolutions after it. Received: "
            f"output {graph.outputs[0].shape} of {called(graph.calls[-1].operation)}"
        )
    head = chain[places[0] :]
    if len(head[0].x) != 4 or any("/" in call.name for call in head):
        raise InputError(
            "Its head must begin on a map [batch, height, width, channels] and not lie in a model inside the model. "
            f"Received: {called(head[0].operation)} of {head[0].x}"
        )
    return head


def _trunk(model, head: list[Call]):
    """A copy of what comes before the head, for images of any size: its output and its input."""
    tensor = model.outputs[0]
    for _ in head:  # not `layer.input`: other models may use the layer too
        made = tensor._keras_history
        tensor = made.operation._inbound_nodes[made.node_index].input_tensors[0]
    before = over(model, tensor)
    try:
        field = receptive_field(before)
    except InputError as error:
        raise InputError(f"What comes before the head must be a map of the image. Received: {model.name}") from error
    last = tensor._keras_history.operation.name
    if field.unknown or 0 in field.stride or field.layer.split("/")[0] != last:
        raise InputError(
            "Layers before the head must look at windows of the image. "
            f"Received: {', '.join(field.unknown) or f'{last} after {field.layer}'}"
        )
    layer = model.inputs[0]._keras_history.operation  # of the same class, which may say what pixels go through
    image = (
        type(layer).from_config({**layer.get_config(), "batch_shape": (None, None, None, model.input_shape[3])}).output
    )
    try:
        copy = rebuild(before, _copy, share=False, inputs=image)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Layers before the head must take images of any size. Received: {reason}") from error
    return copy.output, image


def _copy(operation):
    """A step that calls the layer's copy, its adapters merged."""
    if isinstance(operation, keras.layers.Layer):
        return copied(operation, without_adapters, lambda _: merged_weights(operation))
    return None


def _slid(head: list[Call], x):
    """The head on the map x, of any size."""
    window = (1, 1)  # places of the original map that a vector was flattened from
    for call in head:
        layer, channels = call.operation, x.shape[-1]
        flat = _flattens(call)
        if flat:
            window = call.x[1:3] if len(call.x) == 4 else window
        elif isinstance(layer, keras.layers.Dense):
            x, window = _as_convolution(layer, x, window), (1, 1)
        elif isinstance(layer, tuple(_POOLS)) and len(call.x) == 4 and window == (1, 1):
            kind = next(_POOLS[kind] for kind in _POOLS if isinstance(layer, kind))
            x = kind(call.x[1:3], 1, name=layer.name, dtype=layer.dtype_policy)(x)
        elif isinstance(layer, keras.layers.AdaptiveAveragePooling2D):
            x = _evenly_pooled(call)(x)
        elif isinstance(layer, _POINTWISE) or (window == (1, 1) and call.x[-1] == channels and _by_channel(call)):
            x = _copied(layer, x)
        else:
            raise InputError(
                "After the map a head may have dense layers, 1x1 convolutions, activations, dropout and normalization "
                f"of channels. Received: {called(call.operation)} of {call.x}"
            )
    if window != (1, 1):
        raise InputError(
            f"A dense layer must follow what is flattened. Received: {called(head[-1].operation)} of {window}"
        )
    return x


def _flattens(call: Call) -> bool:
    """Flatten, or a change of shape that does the same, but for axes of one place."""
    return isinstance(call.operation, _RESHAPING) and call.y[1:-1] in ((), (1, 1))


def _as_convolution(layer, x, window):
    """A dense layer as a convolution over a window of the map that its input was flattened from."""
    options = {"activation": layer.activation, "use_bias": layer.use_bias, "dtype": layer.dtype_policy}
    conv = layers.Conv2D(layer.units, window, name=layer.name, trainable=layer.trainable, **options)
    y = conv(x)
    kernel, *bias = merged_weights(layer)
    conv.set_weights([kernel.reshape(conv.kernel.shape), *bias])
    return y


def _evenly_pooled(call: Call):
    """The pool of the head, where each of its regions has the same size."""
    sizes = list(zip(call.x[1:3], call.y[1:3], strict=True))
    if any(given % made for given, made in sizes):
        raise InputError(
            "The regions of an adaptive pool must have one size, as in a network that is built for its usual size. "
            f"Received: {called(call.operation)} of {call.x[1:3]} to {call.y[1:3]}"
        )
    window = tuple(given // made for given, made in sizes)
    return keras.layers.AveragePooling2D(window, window, name=call.name, dtype=call.operation.dtype_policy)


def _by_channel(call: Call) -> bool:
    """Whether a layer acts on the channels of one place."""
    layer = call.operation
    if isinstance(layer, keras.layers.Conv2D):
        return layer.kernel_size == (1, 1) == layer.strides
    axes = getattr(layer, "axis", None)
    axes = axes if isinstance(axes, list | tuple) else [axes]
    return isinstance(layer, _CHANNELWISE) and [axis % len(call.x) for axis in axes] == [len(call.x) - 1]


def _copied(layer, x):
    def on_maps(config):  # the axes of the map come before the one of the features
        return {**without_adapters(config), **({"axis": -1} if "axis" in config else {})}

    return copied(layer, on_maps, lambda _: merged_weights(layer))(x)
