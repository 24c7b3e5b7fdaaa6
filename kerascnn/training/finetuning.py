"""Which part of a trained network learns a new task, and how fast: four cases, by how many images there are and whether
they are like those that the network has seen.

Source: the notes on transfer learning of Stanford's course CS231n; Yosinski et al. 2014 (arXiv:1411.1792) measured how
features become special with depth. results/transfer has the four cases measured.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.training import recipes
from kerascnn.training.plan import Network, Plan, plan

if TYPE_CHECKING:  # for the hints alone
    from kerascnn import data

SIZES = ("small", "large")
DOMAINS = ("similar", "different")
SMALL = 200  # images a class to learn from: below it a set is small
CHOOSING = ("freeze", "unfreeze", "layer_decay", "head_stage")  # what is trained: where one is given, none is chosen
_SMALLER = 2  # times smaller images than those of the weights are different ones
_BATCH = 32  # few images need many steps
_SLOWER = 10  # times less than the recipe's is the rate


class Staged(Network, Protocol):
    """What is needed to know besides; `kerascnn.model_info(name)` knows it."""

    stages: tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """What is done in one of the four cases."""

    text: str
    epochs: int
    fields: Mapping[str, Any]  # of `TrainConfig`
    earlier: bool = False  # the head stands on the last stage but one


CASES = {
    ("small", "similar"): Case("a linear head on what the network's head sees", 20, {"freeze": "head"}),
    ("small", "different"): Case("a linear head on an earlier stage", 20, {"freeze": "head"}, earlier=True),
    ("large", "similar"): Case("all of it, at a rate that falls from the head to the input", 10, {"layer_decay": 0.7}),
    ("large", "different"): Case("all of it", 10, {}),
}


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """What `finetuning_plan` decides."""

    plan: Plan
    size: str
    domain: str
    head_stage: int | None  # the stage on which a new linear head stands; None: the network as it is, with a new head
    reason: str  # one line: what is done and why


def finetuning_plan(
    info: Staged,
    source: "data.Source",
    *,
    size: str | None = None,
    domain: str | None = None,
    head_stage: int | None = None,
    recipe: str | None = None,
    image_size: int | None = None,
    **overrides: Any,
) -> FineTuning:
    """Plans the training of a network with published weights on another data set.

    Args:
        info: `kerascnn.model_info(name)`, of the images that the weights were trained on.
        source: the data set.
        size: "small" or "large"; None: small with fewer than 200 training images a class on average.
        domain: "similar" or "different" images from those of the weights; None: different where they have other
            channels or less than half the height or width.
        head_stage: the stage, from 1, on which a linear head stands, instead of the case's.
        recipe: as `plan` takes it. The rate is a tenth of its rate, or the whole for a head alone on a stage; what the
            case does not say is the recipe's.
        image_size: as `plan` takes it.
        **overrides: fields of `TrainConfig`; where `freeze`, `unfreeze`, `layer_decay` or `head_stage` is among them,
            what is trained is not chosen.

    Returns:
        The plan and what was chosen.

    Raises:
        InputError: an argument is out of range, or the network does not fit the data.

    Example:

        import kerascnn
        from kerascnn import data, training

        chosen = training.finetuning_plan(kerascnn.model_info("efficientnet_lite0"), data.load("digits"))
        print(chosen.reason, chosen.plan.config.freeze)
    """
    for name, value, choices in (("size", size, SIZES), ("domain", domain, DOMAINS)):
        if value is not None:
            _check.one_of(name, value, choices)
    own = plan(info, source, recipe=recipe, image_size=image_size, **overrides)
    if recipe is None and recipes.RECIPES[own.recipe].fine_tuning:  # what trained weights are known to learn well by
        recipe = recipes.choose(recipes.RECIPES[own.recipe].fine_tuning, min(own.shape[:2]))
        own = plan(info, source, recipe=recipe, image_size=image_size, **overrides)
        own = dataclasses.replace(own, asked=tuple(name for name in own.asked if name != "recipe"))
    images, classes = source.sizes["train"], len(source.class_names)
    few = images < SMALL * classes
    found_size = size or ("small" if few else "large")
    found_domain, likeness = (domain, "as was said") if domain else _domain(info, source)
    case = CASES[found_size, found_domain]
    given = [name for name in CHOOSING if name in overrides or (name == "head_stage" and head_stage is not None)]
    said = " and ".join(f"--{name}" for name in given)
    text = f"what {said} {'says' if len(given) == 1 else 'say'}" if given else case.text
    fields = dict(case.fields) if not given else {}
    if case.earlier and not given:
        head_stage = len(info.stages) - 1
        if head_stage < 1:
            rule = "domain different needs a network of several stages, on an earlier of which the head stands"
            raise InputError(f"{rule}. Received: {info.name}")
        text = f"{text}, stage {head_stage} of {len(info.stages)}"
    if head_stage is not None:
        check_head_stage(info, head_stage)
        fields.setdefault("freeze", "head")
    # What a head on a stage is given is normalized (`surgery.linear_head`), so that it takes the recipe's rate.
    alone = head_stage is not None and not {"freeze", "unfreeze"} & overrides.keys()
    said_of_rate = {name: overrides[name] for name in ("optimizer", "learning_rate") if name in overrides}
    rate = recipes.resolve(own.recipe, **said_of_rate).learning_rate / (1 if alone else _SLOWER)
    fields |= {"epochs": case.epochs, "batch_size": _BATCH, "learning_rate": rate, "statistics_momentum": 0.0}
    made = plan(info, source, recipe=recipe, image_size=image_size, **{**fields, **overrides})
    counted = f"{images:,} images of {classes} classes are {'a small' if found_size == 'small' else 'a large'} set"
    counted += " as was said" if size else f" ({'below' if few else 'at least'} {SMALL} a class)"
    reason = f"{counted}, {found_domain} from those of the weights ({likeness}): {text}"
    reason = reason.replace("similar from", "similar to")
    return FineTuning(dataclasses.replace(made, asked=own.asked), found_size, found_domain, head_stage, reason)


def check_head_stage(info: Staged, stage: int) -> None:
    """Refuses a stage that a network does not have, or on which no linear head can stand.

    Raises:
        InputError: it is one.
    """
    if info.task != "classification":
        raise InputError(f"A linear head classifies images. Received: head_stage={stage} of {info.name}, {info.task}")
    _check.whole("head_stage", stage, 1, len(info.stages))


def _domain(info: Staged, source: "data.Source") -> tuple[str, str]:
    """Whether images are like those of the weights, as far as their form tells, and how."""
    height, width, channels = info.input_shape
    if source.image_shape[2] != channels:
        return "different", f"channels: {source.image_shape[2]}, not {channels}"
    sizes = [size for size in source.image_shape[:2] if size is not None]
    if sizes and min(sizes) * _SMALLER < min(height, width):
        return "different", f"{min(sizes)} pixels, not {min(height, width)}"
    return "similar", "channels and size are alike"
