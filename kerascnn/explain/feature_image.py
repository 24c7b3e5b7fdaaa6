"""Feature visualization: the image that a class or a channel of a layer answers to most, in a basis of waves."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain import fourier_basis
from kerascnn.explain.class_image import image_shape, of_zeros
from kerascnn.explain.inner import answer, probe
from kerascnn.explain.optimized import Optimized, adam
from kerascnn.explain.pixel_box import PixelBox
from kerascnn.layers import model_preprocessing


def feature_image(
    model: keras.Model,
    target: int | Sequence[int],
    *,
    layer: str | None = None,
    steps: int = 512,
    rate: float = 0.05,
    jitter: float | None = None,
    rotation: float = 10.0,
    scale: float = 0.1,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    input_shape: Sequence[int] | None = None,
) -> Optimized:
    """Maximizes the score of a class, or the mean of a channel of a layer, over images made of waves.

    Colors are decorrelated and the spectrum falls with the frequency, so that a step of Adam changes all scales alike;
    at each step the image is turned, scaled and shifted at random. A sigmoid keeps pixels between black and white.

    Source: Olah, Mordvintsev, Schubert: Feature visualization, Distill 2017, doi.org/10.23915/distill.00007, with the
    constants of the library that was published with it. Departures: turning, scaling and shifting are one bilinear
    move, and shifts shrink with the image; gradients of ReLU stay what they are.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels]; with `layer` any
            such model.
        target: the class, or the channel of the layer; or several, an image each.
        layer: name of a layer; None: the scores of classes, before any softmax.
        steps: of Adam.
        rate: of Adam.
        jitter: shifts, up to so many pixels; None: 6 of 224.
        rotation: up to so many degrees.
        scale: up to this part, larger or smaller.
        seed: of the first image and of the moves.
        preprocessing: what the pixels go through; None: what the model says.
        input_shape: (height, width, channels), where the model leaves a size open.

    Returns:
        An `Optimized`; `history` holds the scores of the moved images.

    Raises:
        InputError: an argument cannot be used, or it is not known what the pixels go through.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.feature_image(model, [0, 1], layer="c3", steps=20)
    """
    steps, rate = _check.whole("steps", steps, 1), _check.real("rate", rate, 0.0, above=True)
    rotation = _check.real("rotation", rotation, 0.0, 180.0)
    scale = _check.real("scale", scale, 0.0, 1.0, below=True)
    seed = _check.whole("seed", seed, 0)
    shape = image_shape(model, input_shape)
    jitter = 6 / 224 * max(shape[:2]) if jitter is None else _check.real("jitter", jitter, 0.0)
    network, numbers = _units(model, target, layer, shape)
    box = PixelBox.of(model, shape[2], preprocessing)
    constants = model_preprocessing(model) if preprocessing is None else preprocessing
    height, width = shape[:2]

    def prepared(colors):
        return colors * (box.high - box.low) + box.low

    @tf.function(reduce_retracing=True)
    def slope(parts, moves):
        with tf.GradientTape() as tape:
            tape.watch(parts)
            seen = fourier_basis.colors(parts, height, width)
            if moves is not None:
                seen = fourier_basis.transformed(seen, moves)
            outputs = answer(network, prepared(seen))
            outputs = tf.reshape(outputs, [len(numbers), -1, outputs.shape[-1]])
            cost = -tf.gather(tf.reduce_mean(outputs, axis=1), numbers, axis=1, batch_dims=1)
        return cost, tape.gradient(cost, parts)

    rng = np.random.default_rng((seed, 1))
    still = not (jitter or rotation or scale)
    whole = (len(numbers), *shape)

    def step(parts, _):
        moves = None if still else tf.constant(fourier_basis.transforms(whole, rng, jitter, rotation, scale))
        return tuple(x.numpy() for x in slope(tf.constant(parts), moves))

    parts, costs = adam(step, fourier_basis.spectrum(whole, seed), [rate] * steps)
    options = {"steps": steps, "rate": rate, "jitter": jitter, "rotation": rotation, "scale": scale, "seed": seed}
    names = tuple(f"{layer} {number}" if layer else f"class {number}" for number in numbers)
    images = prepared(fourier_basis.colors(tf.constant(parts), height, width)).numpy()
    return Optimized(images, -costs, names, constants.for_channels(shape[2]), "feature_image", options)


def _units(model: keras.Model, target: Any, layer: str | None, shape) -> tuple[keras.Model, np.ndarray]:
    """The network up to the units, and their numbers."""
    if layer is None:
        question = of_zeros(model, target, shape)
        return question.model, question.target
    network = probe(model, [layer])
    channels = network.outputs[0].shape[-1]
    given = [target] if np.ndim(target) == 0 else list(target)
    if not given:
        raise InputError("target must be a channel, or several. Received: none")
    return network, np.array([_check.whole("target", number, 0, channels - 1) for number in given])
