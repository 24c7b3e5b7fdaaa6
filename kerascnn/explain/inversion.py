"""Feature inversion: an image that a layer cannot tell from a given one."""

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.explanation import checked_images
from kerascnn.explain.inner import answer, constants_of, probe
from kerascnn.explain.optimized import Optimized, adam

LOSSES = ("relative", "perceptual")
_TINY = 1e-10  # squared differences below it count as none: their root has no slope


def alpha_norm(images: tf.Tensor, alpha: float) -> tf.Tensor:
    """The sum of |x|^alpha of each image [n, height, width, channels] -> [n]."""
    return tf.reduce_sum(tf.abs(images) ** alpha, axis=(1, 2, 3))


def total_variation(images: tf.Tensor, beta: float) -> tf.Tensor:
    """The sum of (dx^2 + dy^2)^(beta / 2) of each image [n, height, width, channels] -> [n]; the border is repeated, so
    that its own differences are 0."""
    down = tf.pad(images[:, 1:] - images[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
    right = tf.pad(images[:, :, 1:] - images[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
    squares = down**2 + right**2
    found = tf.where(squares > _TINY, tf.maximum(squares, _TINY) ** (beta / 2), 0)
    return tf.reduce_sum(found, axis=(1, 2, 3))


def inversion(
    model: keras.Model,
    images: npt.ArrayLike,
    layer: str,
    *,
    loss: str = "relative",
    alpha: float = 6.0,
    alpha_weight: float = 1e-3,
    beta: float = 2.0,
    variation_weight: float = 1e-2,
    steps: int = 400,
    rate: float = 0.05,
    seed: int = 0,
) -> Optimized:
    """Minimizes the difference of what a layer gives to what it gives for an image, beginning at noise.

    "relative": |f(x) - f(x0)|^2 / |f(x0)|^2 + alpha_weight |x|_alpha^alpha + variation_weight TV_beta(x), Mahendran,
    Vedaldi: Understanding deep image representations by inverting them, 2014, arXiv:1412.0035, equations 1 to 4.
    "perceptual": |f(x) - f(x0)|^2 / (values of the layer) with the total variation alone, Johnson, Alahi, Fei-Fei 2016,
    arXiv:1603.08155, section 3.2.

    Departures: both regularizers are divided by the number of an image's values, so that weights suit every size; the
    way is Adam's, its rate a tenth after half of the steps and a hundredth after three quarters.

    Args:
        model: a functional or built sequential model of one image [n, height, width, channels]; it is kept.
        images: a batch, preprocessed as the model takes it.
        layer: name of a layer; the deeper, the less is left.
        loss: "relative" or "perceptual".
        alpha, alpha_weight: of the norm; not used by "perceptual".
        beta: of the total variation: 2 is smooth, 1 leaves edges and spikes.
        variation_weight: of the total variation.
        steps, rate: of Adam, after preprocessing.
        seed: of the noise.

    Returns:
        An `Optimized`; `history` holds the sum that is minimized.

    Raises:
        InputError: an argument cannot be used, or the layer gives nothing but zeros for an image.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.inversion(model, images, "c3", steps=100)
        kerascnn.explain.draw_optimized(found, "inverted.png", images=images)
    """
    loss = _check.one_of("loss", loss, LOSSES)
    alpha, beta = _check.real("alpha", alpha, 1.0), _check.real("beta", beta, 1.0)
    weights = {"alpha_weight": alpha_weight, "variation_weight": variation_weight}
    alpha_weight, variation_weight = (_check.real(name, weight, 0.0) for name, weight in weights.items())
    steps, rate = _check.whole("steps", steps, 1), _check.real("rate", rate, 0.0, above=True)
    seed = _check.whole("seed", seed, 0)
    network = probe(model, [layer])
    images = checked_images(network, images)
    size = images[0].size

    def code(x):
        return tf.reshape(answer(network, x), [len(images), -1])

    wanted = code(tf.constant(images))
    norms = tf.reduce_sum(wanted**2, axis=1)
    if loss == "perceptual":
        norms = tf.fill([len(images)], float(wanted.shape[1]))
    elif not np.all(norms):
        raise InputError(f"layer must give something else than zeros for every image. Received: layer={layer!r}")

    @tf.function(reduce_retracing=True)
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            cost = tf.reduce_sum((code(x) - wanted) ** 2, axis=1) / norms
            cost += variation_weight / size * total_variation(x, beta)
            if loss == "relative":
                cost += alpha_weight / size * alpha_norm(x, alpha)
        return cost, tape.gradient(cost, x)

    start = 0.1 * images.std() * np.random.default_rng(seed).standard_normal(images.shape)
    rates = [rate * (1 if 2 * i < steps else 0.1 if 4 * i < 3 * steps else 0.01) for i in range(steps)]
    found, costs = adam(lambda x, _: tuple(y.numpy() for y in slope(tf.constant(x))), start, rates)
    options = {"loss": loss, "beta": beta, "variation_weight": variation_weight, "steps": steps, "rate": rate}
    if loss == "relative":
        options |= {"alpha": alpha, "alpha_weight": alpha_weight}
    names = (f"from {layer}",) * len(images)
    return Optimized(found, costs, names, constants_of(model), "inversion", {**options, "seed": seed})
