"""The ops and their peers in TensorFlow and Keras as functions of tensors: {subject: function of the case's inputs}."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kerascnn import ops
from kerascnn.benchmark.cases import Case

Function = Callable[..., tf.Tensor]


def exists(case: Case) -> bool:
    """Whether `kerascnn.ops` has the op of a case."""
    names = {"lrn": "local_response_normalization", "layer_norm": "layer_normalization", "depthwise": "conv2d"}
    return hasattr(ops, names.get(case.op, case.op))


def functions(case: Case) -> dict[str, Function]:
    """What is compared on a case.

    Args:
        case: op and shape.

    Returns:
        "kerascnn", and "tensorflow" and "keras" where they have the op; each takes `case.inputs` in their order. Only
        what both take is in the arguments: SAF-pooling draws from a fixed seed, its peers from their own generators.
    """
    return _FUNCTIONS[case.op](case)


def _conv2d(case: Case) -> dict[str, Function]:
    strides, dilations = [case.stride] * 2, [case.dilation] * 2
    return {
        "kerascnn": lambda x, filters: ops.conv2d(x, filters, strides, "same", dilations, case.groups),
        "tensorflow": lambda x, filters: tf.nn.conv2d(x, filters, strides, "SAME", dilations=dilations),
        # What keras.layers.Conv2D calls; one of stride and dilation must be 1.
        "keras": lambda x, filters: keras.ops.conv(x, filters, case.stride, "same", dilation_rate=case.dilation),
    }


def _depthwise(case: Case) -> dict[str, Function]:
    strides = [1, case.stride, case.stride, 1]

    def turned(filters):  # [height, width, 1, channels] -> [height, width, channels, 1], without a copy
        return tf.reshape(filters, (case.kernel, case.kernel, case.filters, 1))

    return {
        "kerascnn": lambda x, filters: ops.conv2d(x, filters, case.stride, "same", case.dilation, case.groups),
        "tensorflow": lambda x, filters: tf.nn.depthwise_conv2d(x, turned(filters), strides, "SAME"),
        "keras": lambda x, filters: keras.ops.depthwise_conv(x, turned(filters), case.stride, "same"),
    }


def _deform(case: Case) -> dict[str, Function]:
    def ours(x, filters, offset, mask):
        return ops.deform_conv2d(x, filters, offset, mask, case.stride, "same", case.dilation)

    return {"kerascnn": ours}


def _gelu(case: Case) -> dict[str, Function]:
    return {
        "kerascnn": ops.gelu,
        "tensorflow": lambda x: tf.nn.gelu(x, approximate=False),
        "keras": lambda x: keras.activations.gelu(x, approximate=False),
    }


def _layer_norm(case: Case) -> dict[str, Function]:
    return {
        "kerascnn": lambda x, scale, shift: ops.layer_normalization(x, scale, shift, 1e-6),
        # What keras.layers.LayerNormalization calls.
        "keras": lambda x, scale, shift: keras.ops.layer_normalization(x, scale, shift, -1, 1e-6),
    }


def _lrn(case: Case) -> dict[str, Function]:
    constants = (case.radius, 2.0, 1e-4, case.beta)
    return {
        "kerascnn": lambda x: ops.local_response_normalization(x, *constants),
        "tensorflow": lambda x: tf.nn.local_response_normalization(x, *constants),
    }


def _saf(case: Case) -> dict[str, Function]:
    size, seed = case.kernel, tf.constant([1, 2])
    generator = keras.random.SeedGenerator(1)

    def theirs(x):
        return tf.nn.dropout(tf.nn.max_pool2d(x, size, size, "VALID"), case.rate)

    return {
        "kerascnn": lambda x: ops.saf_pool2d(x, size, rate=case.rate, seed=seed, training=True),
        "tensorflow": theirs,
        # What MaxPooling2D and Dropout call.
        "keras": lambda x: keras.random.dropout(keras.ops.max_pool(x, size), case.rate, seed=generator),
    }


def _attention(case: Case) -> dict[str, Function]:
    batch, height, width, channels = case.x
    heads, tokens = case.groups, height * width

    def theirs(x):  # what SelfAttention calls for other types
        query, key, value = tf.unstack(tf.reshape(x, (batch, tokens, 3, heads, channels // 3 // heads)), axis=2)
        return tf.reshape(keras.ops.dot_product_attention(query, key, value), case.y)

    return {
        "kerascnn": lambda x: tf.reshape(ops.self_attention(tf.reshape(x, (batch, tokens, channels)), heads), case.y),
        "keras": theirs,
    }


_FUNCTIONS: dict[str, Callable[[Case], dict[str, Function]]] = {
    "conv2d": _conv2d,
    "depthwise": _depthwise,
    "deform_conv2d": _deform,
    "gelu": _gelu,
    "layer_norm": _layer_norm,
    "lrn": _lrn,
    "saf_pool2d": _saf,
    "self_attention": _attention,
}


def prepare(
    function: Function, inputs: dict[str, tuple[int, ...]], dtype: str, which: str, copies: int = 1
) -> Callable[[], None]:
    """A call to be timed: traced, with inputs of its own in memory.

    Args:
        function: takes tensors of the shapes in `inputs`.
        inputs: shapes by name; filters and offsets get values of a size that occurs in networks.
        dtype: of all tensors.
        which: "forward" or "both".
        copies: how often one call does it, one after the other in one graph, as a network would.

    Returns:
        A function without arguments that returns when the result is there.
    """
    scales = {"x": 1.0, "filters": 0.05, "offset": 1.0, "mask": 0.5, "scale": 1.0, "shift": 1.0}
    tensors = [
        tf.cast(scales[name] * tf.random.stateless_normal(shape, (3, index)), dtype)
        for index, (name, shape) in enumerate(inputs.items())
    ]

    def forward(*tensors):
        return [function(*tensors)]

    def both(dy, *tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*tensors)
        return [y, *tape.gradient(y, tensors, output_gradients=dy)]

    def repeated(*arguments):
        results = []
        for _ in range(copies):
            with tf.control_dependencies(results):
                results = once(*arguments)
        return results

    # Concrete functions: a new tf.function for every case would look like needless retracing to TensorFlow.
    once, arguments = forward, tensors
    # Asked for by name: graphs that are handed out hold no native ops otherwise.
    info = ops.build_info()
    with ops.native("require" if info["available"] and info["mode"] != "off" else info["mode"]):
        if which == "both":
            y = tf.function(forward, autograph=False).get_concrete_function(*tensors)(*tensors)[0]
            once, arguments = both, [tf.ones_like(y), *tensors]
        call = tf.function(repeated, autograph=False).get_concrete_function(*arguments)
    return lambda: call(*arguments)
