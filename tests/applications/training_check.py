"""Whether a network learns: a step on 64 digits."""

import keras
import numpy as np
import tensorflow as tf

from kerascnn import applications, data

IMAGES, FEW = 64, 16
HUGE = 1e10  # multiply-adds: such networks see the few
EPSILON = 1e-7 / 0.001**0.5  # as Keras' Adam has it in its first step
RATES = {  # of Adam
    # Thirty-four layers without shortcuts: a larger step overshoots.
    "plain34": 1e-4,
    # All layers move the few, alike tokens of such small images the same way: a step of the deep or wide overshoots.
    **dict.fromkeys(("pit_s_224", "pit_s_distilled_224", "pit_b_224", "pit_b_distilled_224"), 3e-5),
    **dict.fromkeys((f"t2t_vit_{size}" for size in (10, 12, 14, 19, 24, "t_14", "t_19", "t_24")), 1e-5),
}


def digits(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits in [-1, 1], enlarged and padded to [count, size, size, 1]; labels [count]."""
    source = data.load("digits", limit=count)
    images, labels = (np.stack(part) for part in zip(*source.dataset("train").as_numpy_iterator(), strict=True))
    factor = size // images.shape[1]
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    border = size - images.shape[1]
    images = np.pad(images, ((0, 0), (border // 2, border - border // 2), (border // 2, border - border // 2), (0, 0)))
    return images.astype("float32") / 127.5 - 1, labels


def loss_falls(name: str) -> None:
    """After a step on 64 digits (16 for a huge network) their training loss is below what it was.

    The same units are dropped before and after, as what another draw changes may exceed what a step gains.
    Networks of segmentation learn where the ink is, class 0 being the paper, and which digit it belongs to.

    Args:
        name: registry name.
    """
    info = applications.model_info(name)
    size = -(-max(16, info.min_size) // info.size_multiple) * info.size_multiple
    x, y = digits(FEW if info.macs > HUGE else IMAGES, size)
    classes = 10
    if info.task == "segmentation":
        y, classes = np.where(x[..., 0] > 0, y[:, None, None] + 1, 0), 11
    model = applications.create_model(name, input_shape=(size, size, 1), classes=classes)
    weights = {id(weight) for weight in model.weights}
    random_states = [variable for variable in model.variables if id(variable) not in weights]
    kept = [state.numpy() for state in random_states]
    rate, loss = RATES.get(name, 3e-4), keras.losses.SparseCategoricalCrossentropy()
    with tf.GradientTape() as tape:  # not compiled: tracing takes longer than the steps
        before = loss(y, model(x, training=True))
    gradients = tape.gradient(before, [w.value for w in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        # Adam's first step by hand: making its two variables for each weight took a third of the time.
        weight.assign_sub(rate * gradient / (tf.abs(gradient) + EPSILON))
    for state, value in zip(random_states, kept, strict=True):
        state.assign(value)
    after = loss(y, model(x, training=True))
    assert np.isfinite(before) and np.isfinite(after) and after < before, (float(before), float(after))
