"""Rows of all networks: name -> builder, spec and facts. Family modules add their rows when they are imported."""

import dataclasses
import difflib
import fnmatch
import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What is known about a network without building it."""

    name: str  # registry name, as in timm / torchvision where those have the network
    builder: str  # name of the function in kerascnn.applications
    family: str  # module in kerascnn.applications
    paper: str  # authors, title, year, arXiv number
    params: int | None  # trainable parameters with the default options; None: not recorded
    macs: int | None  # multiply-adds of convolutions and dense layers for one default input; None: not recorded
    input_shape: tuple[int, int, int]  # default height, width, channels
    min_size: int  # smallest height and width that the builder takes
    classes: int  # default number of classes
    preprocessing: Preprocessing  # what is done to pixels before the network
    recipe: str  # default training recipe: imagenet | cifar | lenet | vit
    weight_decay: float | None  # L2 coefficient of the published training; None: that of the recipe
    weights: tuple[str, ...]  # tags of published weights
    reported: str  # published error, as text with its conditions
    reconstructed: bool  # the source leaves a detail open, which was filled in; the family's docstring says which
    spec: Any  # the row of the family's table, a frozen dataclass
    size_multiple: int = 1  # height and width are multiples of it
    known_size: bool = False  # no size may be None, not even without the head
    task: str = "classification"  # classification: [batch, classes]; segmentation: [batch, height, width, classes]
    activations: int | None = None  # elements of all layers' outputs for one default input; None: not recorded
    receptive_field: int | None = None  # pixels that a position of the last stage sees; None: not recorded
    stages: tuple[tuple[int, int, int], ...] = ()  # height, width, channels of the stage outputs; (): not recorded


_ROWS: dict[str, tuple[ModelInfo, Callable]] = {}


def register(info: ModelInfo, builder: Callable) -> None:
    """Adds a row; the registry name and the builder name must both be new.

    Args:
        info: the row.
        builder: the function that `create_model` calls.

    Raises:
        InputError: one of the two names is taken.
    """
    for other, _ in _ROWS.values():
        if info.name == other.name or info.builder == other.builder:
            raise InputError(
                f"A network can be registered once: {other.name} ({other.builder}) exists. "
                f"Received: {info.name} ({info.builder})"
            )
    _ROWS[info.name] = (info, builder)


@functools.cache
def load_families() -> tuple[str, ...]:
    """Imports every family module beside this file, once.

    Returns:
        The names of the modules, sorted.
    """
    package = __name__.rpartition(".")[0]
    folder = Path(__file__).parent
    names = sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))
    for name in names:
        importlib.import_module(f"{package}.{name}")
    return tuple(names)


def builders() -> dict[str, Callable]:
    """All public builders by their CamelCase name."""
    load_families()
    return {info.builder: builder for info, builder in _ROWS.values()}


@functools.cache
def _facts() -> dict[str, dict]:
    path = Path(__file__).with_name("facts.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _row(name: str) -> tuple[ModelInfo, Callable]:
    load_families()
    if not isinstance(name, str) or name not in _ROWS:
        near = difflib.get_close_matches(str(name).lower(), _ROWS, n=5, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else "kerascnn.list_models() names them all"
        raise InputError(f"There is no network of that name; {hint}. Received: {name!r}")
    return _ROWS[name]


def alike(info: ModelInfo) -> dict[str, tuple[str, ...]]:
    """Networks of one family that a weights file fits alike, while they give other outputs.

    They have as many parameters and the same names of layers, and differ in what has no weights: padding, constants of
    batch norm, activations, pools. `docs/weights.md` lists them.

    Args:
        info: the row of a network.

    Returns:
        Library that has written the file, "" for this package, -> the network's own name, then those of the others;
        only where there are others.
    """
    if info.name not in _ROWS:
        return {}
    names = _ROWS[info.name][1].names
    found: dict[str, list[str]] = {}
    for other, builder in _ROWS.values():
        same = other.family == info.family and _computed(other) != _computed(info)
        count = _facts().get(info.name, {}).get("params")
        if not same or count is None or _facts().get(other.name, {}).get("params") != count:
            continue
        libraries = [
            key
            for key in names
            if key in builder.names and _rules(names[key], info) == _rules(builder.names[key], other)
        ]
        for library in libraries or ([] if names or builder.names else [""]):
            found.setdefault(library, [info.name]).append(other.name)
        if libraries:
            found.setdefault("", [info.name]).append(other.name)
    return {library: tuple(others) for library, others in found.items()}


def _computed(info: ModelInfo) -> tuple:
    """What the outputs depend on: not the usual size of the image."""
    return {**vars(info.spec), "resolution": None}, info.preprocessing


def _rules(rules, info: ModelInfo):
    return rules(info.spec) if callable(rules) else rules


def create_model(name: str, /, *, features_only: bool = False, spec: Any = None, **options):
    """Builds a network by its registry name.

    Args:
        name: one of `list_models()`.
        features_only: True: the model's outputs are the list of its stage outputs, each [batch, height, width,
            channels], the last being what the head would see; `model.feature_strides` lists input size / output size.
        spec: another row than the network's own, of the same class: `dataclasses.replace(model_info(name).spec, ...)`.
        **options: arguments of the builder (`include_top`, `weights`, `input_shape`, `classes`, `name`, ...; the
            options of its family).

    Returns:
        A `keras.Model`.

    Raises:
        InputError: unknown name or option, or a value that the builder refuses.
    """
    builder = _row(name)[1]
    if features_only:
        for option in ("classes", "pooling"):
            if options.get(option):
                raise InputError(f"A model with features_only=True has no head. Received: {option}={options[option]!r}")
        options["classes"] = 0
    return builder(**options) if spec is None else builder.from_spec(spec, **options)


def backbone(name: str, x, **options) -> list:
    """The stage outputs of a network on a tensor, for a network that is built upon it.

    Args:
        name: one of `list_models()`.
        x: Keras tensor [batch, height, width, channels].
        **options: keyword options of the family's `features`.

    Returns:
        Keras tensors [batch, h, w, c], one a stage, as the layers of the network put them out.

    Raises:
        InputError: unknown name, or an option that the network does not have.
    """
    features = _row(name)[1].features
    known = inspect.signature(features).parameters
    if not options.keys() <= known.keys():
        unknown = ", ".join(sorted(options.keys() - known.keys()))
        raise InputError(f"{name} must have the option {unknown} to be built upon. Received: {sorted(options)}")
    made = features(x, **options)
    return made[0] if isinstance(made, tuple) else made


def list_models(pattern: str = "*", family: str | None = None, pretrained: bool | None = None) -> list[str]:
    """Lists registry names.

    Args:
        pattern: shell pattern over the names, such as `"*resnext*"`; case does not matter.
        family: only this family's networks (a module of `kerascnn.applications`).
        pretrained: True: only networks with published weights; False: only those without; None: both.

    Returns:
        The names, sorted.

    Raises:
        InputError: there is no such family.
    """
    load_families()
    families = sorted({info.family for info, _ in _ROWS.values()})
    if family is not None and family not in families:
        raise InputError(f"family must be one of {', '.join(families)}. Received: {family!r}")
    return sorted(
        info.name
        for info, _ in _ROWS.values()
        if fnmatch.fnmatchcase(info.name, pattern.lower())
        and family in (None, info.family)
        and pretrained in (None, bool(info.weights))
    )


def model_info(name: str) -> ModelInfo:
    """What is known about a network, without building it.

    Args:
        name: one of `list_models()`.

    Returns:
        Its `ModelInfo`.

    Raises:
        InputError: unknown name; the message names the nearest ones.
    """
    info = _row(name)[0]
    facts = _facts().get(name, {})
    recorded = ("params", "macs", "activations", "receptive_field")
    stages = tuple(map(tuple, facts.get("stages", ())))
    return dataclasses.replace(info, stages=stages, **{key: facts.get(key) for key in recorded})
