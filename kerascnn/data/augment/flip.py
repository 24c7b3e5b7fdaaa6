"""Mirroring."""

import dataclasses

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


OPERATIONS = (Flip,)
