"""Random enlargement and window of an image with its mask."""

import dataclasses

from kerascnn.data import letterbox
from kerascnn.data.augment.operation import Operation, number


@dataclasses.dataclass(frozen=True)
class ScaleCrop(Operation):
    """Enlarges an image and its mask by a random factor and takes a random window, see `letterbox.scale_crop`."""

    name = "scale_crop"
    tasks = ("segmentation",)
    sizes = True
    fitted = False
    smallest: float = number(letterbox.SCALES[0], 0.01, 16.0)
    largest: float = number(letterbox.SCALES[1], 0.01, 16.0)

    def __post_init__(self):
        super().__post_init__()
        self.check_order("smallest", "largest")

    def pair(self, pair, seed, target):
        scales = (self.smallest, self.largest)
        return letterbox.scale_crop(pair, seed, target.shape, target.preprocessing, scales)


@dataclasses.dataclass(frozen=True)
class ScaleCropFlip(Operation):
    """`scale_crop` and `flip` from one draw, as runs were made before operations could be composed."""

    name = "scale_crop_flip"
    tasks = ("segmentation",)
    sizes = True
    fitted = False

    def pair(self, pair, seed, target):
        return letterbox.scale_crop_flip(pair, seed, target.shape, target.preprocessing)


OPERATIONS = (ScaleCrop, ScaleCropFlip)
