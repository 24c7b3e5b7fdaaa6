"""A network and a data set as a plan sees them, for tests of plans: the few facts that it asks for."""

import dataclasses

from kerascnn._preprocessing import CIFAR, IMAGENET


@dataclasses.dataclass(frozen=True)
class Network:
    """What `training.plan` asks of `kerascnn.model_info(name)`; of a network for ImageNet."""

    name: str = "net"
    task: str = "classification"
    recipe: str = "imagenet"
    input_shape: tuple = (224, 224, 3)
    min_size: int = 32
    size_multiple: int = 1
    weight_decay: float | None = None
    preprocessing: object = IMAGENET


SMALL = Network(recipe="cifar", input_shape=(32, 32, 3), min_size=8, preprocessing=CIFAR)


@dataclasses.dataclass(frozen=True)
class Set:
    """What `training.plan` asks of a source; of images of any size."""

    image_shape: tuple = (None, None, 3)
    task: str = "classification"
    name: str = "set"
    mirrored: bool = True
    sizes: dict = dataclasses.field(default_factory=lambda: {"train": 50_000})
