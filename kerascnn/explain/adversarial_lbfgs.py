"""The smallest change that makes a network see a class, by L-BFGS with bounds."""

import importlib.util
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.adversarial import Adversarial, Attack
from kerascnn.explain.attacks import loss_of

_FACTOR = 10.0  # between weights until some reach the class and some do not
_LEAST, _MOST = 1e-8, 1e8


def lbfgs(
    model: keras.Model,
    images: npt.ArrayLike,
    target: Any,
    *,
    weight: float = 1e-2,
    searches: int = 8,
    iterations: int = 50,
    preprocessing: Preprocessing | None = None,
    batch_size: int = 32,
) -> Adversarial:
    """Minimizes weight |r|^2 + cross-entropy(x + r, target) with x + r among the pixels, for the largest weight with
    which the class is still reached, and so the smallest change.

    The weight is searched for by factors of 10 first and then by halving its logarithm. Departures: the paper writes
    |r|; its square is used here, which is smooth at 0. Its "minimum c" is a maximum where c stands before |r|.

    Source: Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus: Intriguing properties of neural networks,
    2013, arXiv:1312.6199, section 4.1.

    Args:
        model, images, preprocessing, batch_size: see `fgsm`.
        target: the class to be reached, one for all or one an image.
        weight: of the squared norm of r, in parts of the full range of pixels, with which the search begins.
        searches: halvings; each is a minimization.
        iterations: of each minimization.

    Returns:
        An `Adversarial`; where no weight reached the class the image is as it was, and `success` is False.

    Raises:
        InputError: an argument cannot be used, or SciPy is not installed: pip install 'kerascnn[explain]'.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.lbfgs(model, images[:4], target=3)
        found.norms  # in pixels of 0 to 255
    """
    if importlib.util.find_spec("scipy") is None:
        raise InputError("SciPy must be installed: pip install 'kerascnn[explain]'. Received: lbfgs")
    weight = _check.real("weight", weight, _LEAST, _MOST)
    searches, iterations = _check.whole("searches", searches, 0), _check.whole("iterations", iterations, 1)
    if target is None:
        raise _check.refuse("target", "a class to be reached, or one an image", target)
    attack = Attack.of(model, images, None, target, preprocessing, batch_size)

    @tf.function(reduce_retracing=True)
    def value_and_slope(image, goal):
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = loss_of(attack.question.model, goal)(image)[0]
        return loss, tape.gradient(loss, image)

    found = attack.question.images.copy()
    for index, image in enumerate(attack.question.images):
        goal = attack.question.target[index : index + 1]
        search = _Search(attack, value_and_slope, image, goal, iterations)
        found[index] = search.smallest(weight, searches)
    options = {"weight": weight, "searches": searches, "iterations": iterations}
    return attack.told(found, "lbfgs", options)


class _Search:
    """The search of one image."""

    def __init__(self, attack: Attack, value_and_slope, image: np.ndarray, goal: np.ndarray, iterations: int):
        self._attack, self._function, self._image, self._goal = attack, value_and_slope, image, goal
        self._iterations = iterations
        box = attack.box
        self._range = (255 * box.unit).astype("float64")  # of the pixels, after preprocessing
        low = np.broadcast_to((box.low - image) / self._range, image.shape)
        high = np.broadcast_to((box.high - image) / self._range, image.shape)
        # An image outside of the range of pixels stays allowed.
        self._bounds = np.stack([np.minimum(low, 0).ravel(), np.maximum(high, 0).ravel()], axis=1)

    def smallest(self, weight: float, searches: int) -> np.ndarray:
        """The image with the smallest change that reaches the class; as it was where none does."""
        if self._reached(self._image):
            return self._image
        best = self._try(weight)
        if best is None:
            while best is None and weight / _FACTOR >= _LEAST:
                weight /= _FACTOR
                best = self._try(weight)
            if best is None:
                return self._image
            low, high = weight, weight * _FACTOR
        else:
            low = high = weight
            while high == low and low * _FACTOR <= _MOST:
                better = self._try(low * _FACTOR)
                if better is None:
                    high = low * _FACTOR
                else:
                    best, low = better, low * _FACTOR
                    high = low
        for _ in range(searches):
            middle = float(np.sqrt(low * high))
            better = self._try(middle)
            if better is None:
                high = middle
            else:
                best, low = better, middle
        return best

    def _reached(self, image: np.ndarray) -> bool:
        outputs = self._attack.question.model(image[None], training=False)
        return int(np.argmax(outputs)) == int(self._goal[0])

    def _try(self, weight: float) -> np.ndarray | None:
        """The minimizer, where it reaches the class."""
        from scipy.optimize import minimize

        def objective(r):
            change = r.reshape(self._image.shape)
            moved = (self._image + change * self._range).astype("float32")
            loss, slope = self._function(tf.constant(moved[None]), tf.constant(self._goal))
            total = float(loss) + weight * float(r @ r)
            return total, (slope.numpy()[0].astype("float64") * self._range).ravel() + 2 * weight * r

        options = {"maxiter": self._iterations}
        start = np.zeros(self._image.size)
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=self._bounds, options=options)
        moved = (self._image + found.x.reshape(self._image.shape) * self._range).astype("float32")
        return moved if self._reached(moved) else None
