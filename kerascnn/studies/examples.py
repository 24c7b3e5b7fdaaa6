"""Images and labels that a study of a trained classifier is given, checked."""

from typing import Any

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.explain.explanation import checked_images


def checked_examples(network: keras.Model, images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as arrays.

    Args:
        network: images -> [n, classes].
        images: [n, height, width, channels].
        labels: [n].

    Returns:
        float32 [n, height, width, channels], and whole numbers [n].

    Raises:
        InputError: the network gives something else, or they do not fit to it or to each other.
    """
    shape = network.outputs[0].shape
    if len(shape) != 2:
        raise InputError(f"The model must have one output [n, classes]. Received: output {shape}")
    images, labels = checked_images(network, images), np.asarray(labels)
    fits = labels.shape == (len(images),) and labels.dtype.kind in "iu"
    if not fits or labels.min() < 0 or labels.max() >= shape[-1]:
        rule = f"labels must be {len(images)} classes from 0 to {shape[-1] - 1}"
        raise InputError(f"{rule}. Received: {labels.dtype.name} {labels.shape}")
    return images, labels
