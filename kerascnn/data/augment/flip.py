"""Mirroring."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment import images
from kerascnn.data.augment.operation import Operation, number


@dataclasses.dataclass(frozen=True)
class Flip(Operation):
    """Mirrors left and right, an image and its mask alike."""

    name = "flip"
    tasks = ("classification", "segmentation")
    probability: float = number(0.5, 0.0, 1.0)

    def image(self, image, seed, target):
        return images.random_flip(image, seed, self.probability)

    pair = image


@dataclasses.dataclass(frozen=True)
class VerticalFlip(Operation):
    """Turns an image and its mask upside down, where up and down mean nothing, as in pictures from above."""

    name = "vertical_flip"
    tasks = ("classification", "segmentation")
    probability: float = number(0.5, 0.0, 1.0)

    def image(self, image, seed, target):
        def change(batch):
            draw = tf.random.stateless_uniform([tf.shape(batch)[0]], seed)
            return images.chosen(draw, self.probability, batch[:, ::-1], batch)

        return images.as_batch(image, change)

    pair = image


OPERATIONS = (Flip, VerticalFlip)
