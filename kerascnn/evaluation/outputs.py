"""What a classifier's outputs are before they are measured: probabilities and their logarithms."""

import numpy as np

from kerascnn._errors import InputError

TINY = np.finfo(np.float32).tiny  # the smallest probability that float32 holds in full; keeps the loss finite


def measured(outputs: np.ndarray, logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """What is measured of a network's outputs.

    Args:
        outputs: finite numbers, float64 [..., classes].
        logits: they are logits, of which the softmax is taken.

    Returns:
        Probabilities and their logarithms, both [..., classes]. The logarithms of logits are exact, however small the
        probability: x_k - log(sum(exp(x))); those of probabilities end at that of the smallest number of float32.

    Raises:
        InputError: they are neither; the message names the sum that is farthest from 1.
    """
    if logits:
        shifted = outputs - outputs.max(axis=-1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.exp(logarithms), logarithms
    sums = outputs.sum(axis=-1).ravel()
    if outputs.size and (outputs.min() < -1e-3 or np.abs(sums - 1).max() > 1e-2):
        raise InputError(
            "The model's outputs must be probabilities, or logits=True be given. Received: a row with the sum "
            f"{sums[np.argmax(np.abs(sums - 1))]:.4g}"
        )
    return outputs, np.log(np.maximum(outputs, TINY))


def check_answers(outputs: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Refuses outputs and labels that are no answers.

    Args:
        outputs: float64.
        labels: integers.
        classes: how many there are.

    Raises:
        InputError: other shapes, none at all, outputs that are not finite, or a label out of range.
    """
    if outputs.ndim != 2 or labels.shape != outputs.shape[:1] or outputs.shape[1] != classes or not len(labels):
        raise InputError(
            f"There must be outputs [n, {classes}] and labels [n], n at least 1. Received: {outputs.shape} and "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"Labels must be whole numbers in [0, {classes}). Received: {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"Labels must be whole numbers in [0, {classes}). Received: {labels.min()} to {labels.max()}")
    if not np.isfinite(outputs).all():
        raise InputError("Outputs must be finite. Received: NaN or infinity")
