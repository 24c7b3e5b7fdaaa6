"""Random shifts of the color."""

import dataclasses

from kerascnn.data.augment import images
from kerascnn.data.augment.operation import Operation, number


@dataclasses.dataclass(frozen=True)
class PCANoise(Operation):
    """Shifts the color of an image along ImageNet's principal components (Krizhevsky et al. 2012, section 4.1)."""

    name = "pca_noise"
    tasks = ("classification", "segmentation")
    std: float = number(0.1, 0.0, 10.0)

    def image(self, image, seed, target):
        return images.pca_color_shift(image, seed, self.std)


OPERATIONS = (PCANoise,)
