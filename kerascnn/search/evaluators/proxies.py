"""Scores of networks that have not been trained: baselines that cost a second, and that any search should beat.

Their comparison: Abdelfattah, Mehrotra, Dudziak, Lane: Zero-Cost Proxies for Lightweight NAS, 2021, arXiv:2101.08134.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.evaluators.training import Builder, Training
from kerascnn.search.records import Result

if TYPE_CHECKING:
    import keras

# A score of a model, images in [-1, 1] and their labels.
Score = Callable[["keras.Model", np.ndarray, np.ndarray], float]


def parameters(model: "keras.Model", images: np.ndarray, labels: np.ndarray) -> float:
    """How many parameters are trained.

    Args:
        model: a network.
        images, labels: are not read.

    Returns:
        The count.
    """
    return float(sum(math.prod(weight.shape) for weight in model.trainable_weights))


def gradient_norm(model: "keras.Model", images: np.ndarray, labels: np.ndarray) -> float:
    """The sum, over all weights, of the Euclidean norm of the gradient of the cross-entropy of one batch.

    Args:
        model: images -> logits.
        images: float32 [n, h, w, c].
        labels: int [n].

    Returns:
        The sum, batch norms normalizing by this batch.

    Source:
        Abdelfattah et al., 2021, section 3.2.
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    return float(sum(tf.norm(gradient) for gradient in gradients if gradient is not None))


def synflow(model: "keras.Model", images: np.ndarray, labels: np.ndarray) -> float:
    """The logarithm of the sum of |weight dR / d weight|, where R is the sum of the logits of an image of ones when all
    weights have their absolute values.

    Batch norms are left as they are at first, so that they do nothing. Of a chain of linear maps each layer has the sum
    R, the sum over all paths from the image to a logit of the product of the weights along it.

    Args:
        model: images -> logits; its weights are as before afterwards.
        images: of which the shape is read.
        labels: are not read.

    Returns:
        The natural logarithm, which ranks networks as the sum does.

    Source:
        Tanaka, Kunin, Yamins, Ganguli: Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic
        Flow, 2020, arXiv:2006.05467, equation 2; as a score of networks: Abdelfattah et al., 2021, section 3.2.
    """
    import tensorflow as tf

    weights = model.trainable_weights
    before = [np.array(weight) for weight in weights]
    try:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(np.abs(value))
        with tf.GradientTape() as tape:
            flow = tf.reduce_sum(model(np.ones((1, *images.shape[1:]), "float32"), training=False))
        gradients = tape.gradient(flow, [weight.value for weight in weights])
        total = sum(
            float(np.abs(np.abs(value).astype("float64") * gradient.numpy()).sum())
            for value, gradient in zip(before, gradients, strict=True)
            if gradient is not None
        )
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)
    return math.log(total) if total > 0 else -math.inf


def naswot(model: "keras.Model", images: np.ndarray, labels: np.ndarray) -> float:
    """The logarithm of the determinant of K, where K[i, j] counts the ReLUs that are open for both of two images or
    shut for both: large where the network tells images apart.

    Args:
        model: a functional network with ReLUs as layers.
        images: float32 [n, h, w, c].
        labels: are not read.

    Returns:
        log |det K|; minus infinity where two images open the same ReLUs.

    Raises:
        InputError: the network has no ReLU.

    Source:
        Mellor, Turner, Storkey, Crowley: Neural Architecture Search without Training, 2020, arXiv:2006.04647,
        section 3.
    """
    import keras

    opened = [layer.output for layer in model.layers if _is_relu(layer)]
    if not opened:
        raise InputError(f"The network must have ReLUs as layers. Received: {model.name}, without any")
    maps = keras.Model(model.inputs, opened)([images], training=True)
    codes = [np.asarray(each).reshape(len(images), -1) > 0 for each in (maps if isinstance(maps, list) else [maps])]
    code = np.concatenate(codes, 1).astype("float64")
    sign, log = np.linalg.slogdet(code @ code.T + (1 - code) @ (1 - code).T)
    return float(log) if sign else -math.inf


def _is_relu(layer) -> bool:
    import keras

    plain = isinstance(layer, keras.layers.ReLU)
    return plain or getattr(layer, "activation", None) is keras.activations.relu


PROXIES: dict[str, Score] = {
    "parameters": parameters,
    "gradient_norm": gradient_norm,
    "synflow": synflow,
    "naswot": naswot,
}


class ZeroCost:
    """Scores a candidate by a proxy, with the weights that it is built with and one batch of training images.

    Args:
        proxy: one of `PROXIES`.
        data: name or folder of a set, as for `kerascnn.data.load`.
        data_dir: where that looks for it.
        build: as for `Training`.
        batch_size: images, drawn by the seed.

    Raises:
        InputError: an argument is out of range.

    Example:

        run(spaces.pnas(2), RandomSearch(), ZeroCost("naswot", "digits"), budget=100)
    """

    def __init__(
        self, proxy: str, data: str, data_dir: str | None = None, *, build: Builder | None = None, batch_size: int = 64
    ):
        self.proxy = _check.one_of("proxy", proxy, PROXIES)
        self.batch_size = _check.whole("batch_size", batch_size, 2)
        self._training = Training(data, data_dir, build=build)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one evaluator from another."""
        own = self._training.settings()
        kept = {name: own[name] for name in ("data", "data_dir", "build")}
        return {"proxy": self.proxy, "batch_size": self.batch_size, **kept}

    def __call__(self, candidate: Any, budget: float | None, seed: int) -> Result:
        """Scores a candidate.

        Args:
            candidate: what a space decodes.
            budget: is not read.
            seed: of the weights and of the images.

        Returns:
            The score, and parameters and multiply-adds.

        Raises:
            InputError: the candidate cannot be built, or the proxy does not apply to it.
        """
        import keras

        from kerascnn import analysis

        keras.backend.clear_session()
        keras.utils.set_random_seed(seed % 2**31)
        model = self._training.build(candidate)
        split = self._training.source.split("train")
        rng, size = np.random.default_rng(seed), min(self.batch_size, split.size)
        chosen = rng.choice(split.size, size, replace=False)
        images = np.stack([np.asarray(split.images(place), "float32") for place in chosen]) / 127.5 - 1
        labels = np.array([int(split.labels[place]) for place in chosen])
        cost = analysis.count(model)
        spent = {"parameters": cost.params_trainable + cost.params_other, "macs": cost.macs}
        score = PROXIES[self.proxy](model, images, labels)
        if not math.isfinite(score):
            raise InputError(f"The score must be finite. Received: {self.proxy}={score}")
        return Result(score, {self.proxy: score}, spent)
