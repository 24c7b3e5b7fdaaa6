"""The image that a class scores best for, by gradient ascent from the zero image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.explanation import Question, ask
from kerascnn.explain.inner import constants_of
from kerascnn.explain.optimized import Optimized, descend


def class_image(
    model: keras.Model,
    target: int | Sequence[int],
    *,
    decay: float = 1e-3,
    step: float = 1.0,
    steps: int = 200,
    input_shape: Sequence[int] | None = None,
) -> Optimized:
    """Maximizes S_c(I) - decay |I|^2 by plain gradient ascent, with S the score before any softmax.

    The network should have been trained on data with mean 0, so that the zero image is the mean image. Of a linear
    score w I the image is w / (2 decay), and its error shrinks by 1 - 2 decay step at each step. The paper does not
    give its constants.

    Source: Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, arXiv:1312.6034, section 2.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels]; it is kept.
        target: the class, or several, an image each.
        decay: of the square of the norm; 0: none, and the image grows as long as it is changed.
        step: of the ascent, below 1 / decay.
        steps: how many.
        input_shape: (height, width, channels), where the model leaves a size open.

    Returns:
        An `Optimized`; `history` holds S_c(I) - decay |I|^2.

    Raises:
        InputError: an argument cannot be used.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.class_image(model, [3, 5], steps=50)
        kerascnn.explain.draw_optimized(found, "classes.png")
    """
    decay, step = _check.real("decay", decay, 0.0), _check.real("step", step, 0.0, above=True)
    steps = _check.whole("steps", steps, 1)
    if decay * step >= 1:
        raise _check.refuse("step", f"below 1 / decay = {1 / decay:g}, or the image oscillates", step)
    question = of_zeros(model, target, input_shape)

    @tf.function(reduce_retracing=True)
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = tf.cast(question.model(x, training=False), tf.float32)
            scores = tf.gather(logits, question.target, axis=1, batch_dims=1)
            cost = decay * tf.reduce_sum(x**2, axis=(1, 2, 3)) - scores
        return cost, tape.gradient(cost, x)

    images, costs = descend(lambda x, _: tuple(y.numpy() for y in slope(tf.constant(x))), question.images, step, steps)
    if not np.isfinite(images).all():
        raise InputError(f"The ascent must stay finite: take a smaller step. Received: step={step:g}")
    options = {"decay": decay, "step": step, "steps": steps}
    names = tuple(f"class {number}" for number in question.target)
    return Optimized(images, -costs, names, constants_of(model), "class_image", options)


def of_zeros(model: keras.Model, target: Any, input_shape: Sequence[int] | None) -> Question:
    """The question of a class, or several, of zero images, one each.

    Raises:
        InputError: the target is no class, or the size of the images is open.
    """
    if target is None or callable(target):
        raise _check.refuse("target", "a class, or several", target)
    classes = [target] if np.ndim(target) == 0 else list(target)
    if not classes:
        raise _check.refuse("target", "a class, or several", target)
    return ask(model, np.zeros((len(classes), *image_shape(model, input_shape)), "float32"), classes)


def image_shape(model: keras.Model, input_shape: Sequence[int] | None) -> tuple[int, ...]:
    """(height, width, channels) of a model's images.

    Raises:
        InputError: it is open and not given, or given otherwise.
    """
    inputs = getattr(model, "inputs", None) or []
    own = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
    if len(own) != 3:
        raise InputError(f"The model must take one image [n, height, width, channels]. Received: {model!r}")
    if input_shape is None:
        if None in own:
            raise InputError(f"input_shape must be given where the model leaves a size open. Received: {own}")
        return own
    given = tuple(input_shape)
    if len(given) != 3 or any(b not in (None, a) for a, b in zip(given, own, strict=True)):
        raise _check.refuse("input_shape", f"(height, width, channels) of {own}", input_shape)
    return tuple(_check.whole("input_shape", size, 1) for size in given)
