"""Pixels of image files, 0 to 255, in the units of a network's input."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.layers import model_preprocessing


@dataclasses.dataclass(frozen=True)
class PixelBox:
    """What black, white and one step of a pixel are after preprocessing, each float32 [channels]."""

    low: np.ndarray
    high: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, model: keras.Model, channels: int, preprocessing: Preprocessing | None = None) -> "PixelBox":
        """Of a network's images.

        Args:
            model: that says what its pixels went through, where `preprocessing` does not.
            channels: of its images.
            preprocessing: what the pixels went through; None: what the model says.

        Raises:
            InputError: the model does not say it, or `preprocessing` is no `Preprocessing`.
        """
        constants = model_preprocessing(model) if preprocessing is None else preprocessing
        if not isinstance(constants, Preprocessing):
            raise InputError(f"preprocessing must be a Preprocessing. Received: {preprocessing!r}")
        constants = constants.for_channels(channels)
        mean, std = np.array(constants.mean), np.array(constants.std)
        return cls(*(x.astype("float32") for x in ((0 - mean) / std, (1 - mean) / std, 1 / (255 * std))))

    def to_pixels(self, images: Any) -> np.ndarray:
        """Preprocessed images as pixels, float32 [n, height, width, channels], not rounded."""
        return ((np.asarray(images, "float64") - self.low) / self.unit).astype("float32")

    def from_pixels(self, pixels: Any) -> np.ndarray:
        """The inverse of `to_pixels`."""
        return (np.asarray(pixels, "float64") * self.unit + self.low).astype("float32")
