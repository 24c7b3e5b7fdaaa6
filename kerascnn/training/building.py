"""The model of a run: made as the settings say, and checked against the data."""

import contextlib
from collections.abc import Callable

import keras

from kerascnn import surgery
from kerascnn._errors import InputError
from kerascnn.training import statistics
from kerascnn.training.config import PRECISIONS, TrainConfig


def build(
    build_model: Callable[[], keras.Model], config: TrainConfig, shape: tuple[int, ...], outputs: tuple[int, ...]
) -> keras.Model:
    """The model in the precision of the settings, its statistics' momentum set, what is to be frozen frozen.

    Args:
        build_model: makes it.
        config: the settings.
        shape: of its images, (height, width, channels).
        outputs: of its outputs, without the batch.

    Raises:
        InputError: it takes or gives something else, or ends in neither logits nor a softmax.
    """
    with _precision(config.mixed_precision):
        model = build_model()
    activation = surgery.final_activation(model)
    if activation not in (None, "linear", "softmax"):
        raise InputError(f"The model must end in logits or in a softmax. Received: {activation}")
    if tuple(model.input_shape) != (None, *shape):
        raise InputError(f"The model must take images of shape {shape}. Received: {tuple(model.input_shape)[1:]}")
    if tuple(model.output_shape) != (None, *outputs):
        wanted = outputs[0] if len(outputs) == 1 else outputs
        raise InputError(f"The model must give {wanted} outputs. Received: {tuple(model.output_shape)[1:]}")
    if model.outputs[0].dtype != "float32":
        raise InputError(
            f"The model's outputs must be float32, in mixed precision too. Received: {model.outputs[0].dtype}"
        )
    if config.statistics_momentum:
        for layer in statistics.batch_norms(model):
            layer.momentum = config.statistics_momentum
    if config.freeze != "none":
        surgery.freeze(model, config.freeze)
    return model


@contextlib.contextmanager
def _precision(name: str):
    before = keras.config.dtype_policy()
    if PRECISIONS[name]:
        keras.config.set_dtype_policy(PRECISIONS[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
