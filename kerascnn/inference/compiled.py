"""A trained network as one op with packed filters: for answers with the least delay, one image at a time."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.inference.lowering import lowered
from kerascnn.inference.partial_lowering import as_parts
from kerascnn.inference.predictor import Predictor


def compile(
    network: Predictor | keras.Model, *, partial: bool = False, quantize: str | None = None
) -> Callable[[Any], np.ndarray]:
    """Lowers a network to a program that runs as one op, `kerascnn.ops.inference_program`.

    Without the compiled library, or with native ops switched off, the program runs in plain TensorFlow. The weights are
    copied: training the network on does not change what was compiled. There is no way back to layers;
    outputs equal the network's to some 1e-6 of the largest, in 8 bits to about a hundredth.

    Args:
        network: a predictor, whose probabilities are given; or a functional or built sequential `keras.Model` with one
            input, images, and one output.
        partial: a network of which some layers cannot be lowered is cut into programs and, between them, those layers,
            with what a connection spans that skips one of them; False: such a network is refused.
        quantize: "int8": most products are of 8 bits, see `lowered`; None: float32.

    Returns:
        A function: images, float32 [n, height, width, channels], to the network's outputs, float32, of NumPy. It may be
        called by several threads; images of another size than before are planned for at their first call.

    Raises:
        InputError: the network has a layer that no instruction stands for (`lowered` says which can be lowered), or
            with `partial` no part without one; or there is no Keras model behind the predictor; quantize is unknown
            or leaves nothing to quantize. The function returned
            raises it for images of another shape.

    Example:

        classify = inference.compile(kerascnn.create_model("mobilenetv2_100", weights="imagenet"))
        probabilities = classify(images)
    """
    model = network.model if isinstance(network, Predictor) else network
    if model is None:
        raise InputError(f"Only a Keras model can be compiled, not what was exported already{network.origin}.")
    if not isinstance(model, keras.Model):
        raise InputError(f"network must be a Predictor or a keras.Model. Received: network={network!r}")
    shape = tuple(model.inputs[0].shape[1:]) if getattr(model, "inputs", None) else ()
    traced = tf.function(
        (as_parts if partial else as_program)(model, quantize),
        input_signature=[tf.TensorSpec([None, *shape], tf.float32)],
        autograph=False,
    )
    built = ops.build_info()
    # Traced here and now; "auto" would take this for an export, which other programs are to read.
    with ops.native("require" if built["available"] and built["mode"] != "off" else "off"):
        run = traced.get_concrete_function()

    def compiled(images: Any) -> np.ndarray:
        images = np.asarray(images, np.float32)
        if images.ndim != 4 or any(want not in (None, got) for want, got in zip(shape, images.shape[1:], strict=True)):
            raise InputError(f"images must have the shape [n, *{shape}]. Received: {images.shape}")
        try:
            return run(tf.constant(images)).numpy()
        except tf.errors.InvalidArgumentError as error:
            raise InputError(f"The images must fit the network ({error.message}). Received: {images.shape}") from error

    return compiled


def as_program(model: keras.Model, quantize: str | None = None) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network as a function for graphs: one op, and one variable that holds all constants.

    Args:
        model: as `compile` takes it.
        quantize: likewise.

    Returns:
        images -> outputs, float32. With native ops switched off while it is traced, plain TensorFlow.

    Raises:
        InputError: the network cannot be lowered.
    """
    program = lowered(model, quantize)
    constants = tf.Variable(program.joined(), trainable=False, name="constants")
    return lambda images: ops.inference_program(images, program, constants)
