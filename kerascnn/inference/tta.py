"""Test-time augmentation: a network asked about several views of each image, its probabilities averaged."""

import dataclasses

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import normalize_image
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.views import Views, parse

_AT_ONCE = 256  # views that the network is asked about at a time


@dataclasses.dataclass(frozen=True, eq=False)
class MultiView(Predictor):
    """A `Predictor` for which an image is several views; made by `with_views`.

    `prepare` gives float32 [views, *input_shape], and `predict` takes [n, views, *input_shape]. It has no Keras model.
    """

    views: Views | None = None

    @property
    def element_shape(self) -> tuple[int, ...]:
        """Shape of what `prepare` gives, [views, *input_shape]."""
        return (self.views.count, *self.input_shape)

    def prepare_tensor(self, image: tf.Tensor) -> tf.Tensor:
        """`prepare` as TensorFlow ops, for a graph; sizes may be unknown there."""
        views = self.views.of(tf.convert_to_tensor(image), self.input_shape, self.preprocessing)
        return normalize_image(views, self.preprocessing)


def with_views(predictor: Predictor, views: str) -> MultiView:
    """The same network, asked about several views of each image; their probabilities are averaged.

    Args:
        predictor: a classifier.
        views: which; see `parse_views`: "ten_crop", "grid(3) + flip", ...

    Returns:
        A predictor for `predict`, `evaluate` and `evaluation.batches`.

    Raises:
        InputError: there are no such views, or the network is no classifier or looks at several views already.

    Example:

        predictor = inference.with_views(inference.checkpoint.load("runs/digits"), "shift(1)")
        for found in inference.predict("photos", predictor):
            print(found.path, found.classes[0])
    """
    if predictor.task != "classification":
        raise InputError(f"Test-time augmentation is for classification. Received: a network for {predictor.task}")
    if isinstance(predictor, MultiView):
        raise InputError(f"A network has its views once. Received: one with {predictor.views.text}")
    found, ask = parse(views), predictor.function

    def mean(images: np.ndarray) -> np.ndarray:
        images = np.asarray(images, np.float32)
        flat = images.reshape(-1, *images.shape[2:])
        shares = [ask(flat[start : start + _AT_ONCE]) for start in range(0, len(flat), _AT_ONCE)]
        return np.concatenate(shares).reshape(*images.shape[:2], -1).mean(axis=1, dtype=np.float64).astype(np.float32)

    fields = {field.name: getattr(predictor, field.name) for field in dataclasses.fields(Predictor)}
    return MultiView(**{**fields, "function": mean, "model": None, "views": found})
