"""Rows of all networks: name -> builder, spec and facts. Family modules add their rows when they are imported.

`rows.json` holds what the rows say, so that listing and asking import neither a family nor Keras; `tools/golden.py`
writes it, and a test compares it with the families. `facts.json` holds what was measured on the built networks.
"""

import dataclasses
import difflib
import fnmatch
import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.weights import catalogue

if TYPE_CHECKING:
    import keras

_MEASURED = ("params", "macs", "activations", "receptive_field", "stages")  # fields that facts.json holds


class _Later:
    """A spec that is read from its family at the first use."""

    def __init__(self, name: str):
        self.name = name


class _SpecField:
    """The field `spec` of `ModelInfo`, which may be set to a `_Later`."""

    def __get__(self, instance, owner=None):
        if instance is None:
            raise AttributeError("spec")  # so that the field has no default
        value = vars(instance)["spec"]
        if isinstance(value, _Later):
            value = vars(instance)["spec"] = _registered(value.name)[0].spec
        return value

    def __set__(self, instance, value):
        vars(instance)["spec"] = value


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
    weights: tuple[str, ...]  # tags of published weights; kerascnn.weights.published(name) tells more of them
    reported: str  # published error, as text with its conditions
    reconstructed: bool  # the source leaves a detail open, which was filled in; the family's docstring says which
    spec: Any = _SpecField()  # the row of the family's table, a frozen dataclass; its first use imports the family
    size_multiple: int = 1  # height and width are multiples of it
    known_size: bool = False  # no size may be None, not even without the head
    task: str = "classification"  # classification: [batch, classes]; segmentation: [batch, height, width, classes]
    activations: int | None = None  # elements of all layers' outputs for one default input; None: not recorded
    receptive_field: int | None = None  # pixels that a position of the last stage sees; None: not recorded
    stages: tuple[tuple[int, int, int], ...] = ()  # height, width, channels of the stage outputs; (): not recorded

    def preprocess(self, x: Any) -> Any:
        """Turns pixel values into what this network is fed: (x / 255 - mean) / std per channel.

        Args:
            x: array or tensor [..., channels] with values 0..255, of any numeric type.

        Returns:
            float32 of the same shape; a NumPy array for a NumPy array, else a tensor.

        Raises:
            InputError: `x` has no shape, or no known number of channels.

        Example:

            x = kerascnn.model_info("mobilenetv2_100").preprocess(image)
        """
        return importlib.import_module("kerascnn.applications._images").preprocess(x, self.preprocessing)

    def row(self) -> dict[str, Any]:
        """What `rows.json` holds of it: plain values, without the spec, the weights and what is measured."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "spec"}
        row = {key: value for key, value in values.items() if key not in ("name", "weights", *_MEASURED)}
        return json.loads(json.dumps({**row, "preprocessing": self.preprocessing.to_dict()}))


_ROWS: dict[str, tuple[ModelInfo, Callable]] = {}


def register(info: ModelInfo, builder: Callable) -> None:
    """Adds a row; the registry name and the builder name must both be new.

    Args:
        info: the row.
        builder: the function that `create_model` calls.

    Raises:
        InputError: one of the two names is taken.
    """
    own = (info.name, info.builder)
    taken = [(name, other.builder) for name, (other, _) in _ROWS.items()]
    taken += [pair for name, row in _read("rows.json").items() if (pair := (name, row["builder"])) != own]
    for name, other in taken:
        if info.name == name or info.builder == other:
            raise InputError(
                f"A network can be registered once: {name} ({other}) exists. Received: {info.name} ({info.builder})"
            )
    _ROWS[info.name] = (info, builder)


def families() -> tuple[str, ...]:
    """The names of the family modules beside this file, sorted."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in modules if not module.name.startswith("_")))


def load_families(names: Iterable[str] | None = None) -> None:
    """Imports family modules, by default all of them, so that their rows are registered."""
    importlib.import_module("kerascnn").layers  # noqa: B018 - says in one line what TensorFlow and Keras must be
    for name in families() if names is None else names:
        importlib.import_module(f"{__name__.rpartition('.')[0]}.{name}")


def rows_of_families() -> dict[str, dict[str, Any]]:
    """What the families themselves say of their networks, for `rows.json`; imports them all."""
    load_families()
    return {name: info.row() for name, (info, _) in sorted(_ROWS.items())}


def builders() -> dict[str, str]:
    """Public builders by their CamelCase name: the registry name of each."""
    return {row["builder"]: name for name, row in _rows().items()}


def builder(name: str) -> Callable:
    """The builder of a network; imports its family.

    Raises:
        InputError: unknown name; the message names the nearest ones.
    """
    return _registered(name)[1]


def library_names(name: str) -> dict[str, Any]:
    """What other libraries call the layers of a network: library -> rules of `kerascnn.weights.names`.

    Raises:
        InputError: unknown name.
    """
    info, build = _registered(name)
    return {library: _rules(rules, info) for library, rules in build.names.items()}


@functools.cache
def _read(file: str) -> dict[str, dict]:
    path = Path(__file__).with_name(file)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _rows() -> dict[str, dict]:
    """Rows of all networks, as plain values: the recorded ones, and what a process has registered beside them."""
    new = {name: info.row() for name, (info, _) in _ROWS.items() if name not in _read("rows.json")}
    return {**_read("rows.json"), **new}


def _known(name: str) -> dict[str, Any]:
    rows = _rows()
    if not isinstance(name, str) or name not in rows:
        near = difflib.get_close_matches(str(name).lower(), rows, n=5, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else "kerascnn.list_models() names them all"
        raise InputError(f"There is no network of that name; {hint}. Received: {name!r}")
    return rows[name]


def _registered(name: str) -> tuple[ModelInfo, Callable]:
    family = _known(name)["family"]
    if name not in _ROWS:
        load_families([family])
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
    load_families([info.family])
    if info.name not in _ROWS:
        return {}
    names = _ROWS[info.name][1].names
    found: dict[str, list[str]] = {}
    for other, builder in _ROWS.values():
        same = other.family == info.family and _computed(other) != _computed(info)
        count, theirs = (_read("facts.json").get(name, {}).get("params") for name in (info.name, other.name))
        if not same or count is None or theirs != count:
            continue
        libraries = [
            key
            for key in names
            if key in builder.names and set(_rules(names[key], info)) == set(_rules(builder.names[key], other))
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


def create_model(name: str, /, *, features_only: bool = False, spec: Any = None, **options: Any) -> "keras.Model":
    """Builds a network by its registry name; its weights are random unless `weights` says otherwise.

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

    Example:

        model = kerascnn.create_model("resnet18", classes=10, input_shape=(64, 64, 3))
    """
    build = builder(name)
    if features_only:
        for option in ("classes", "pooling"):
            if options.get(option):
                raise InputError(f"A model with features_only=True has no head. Received: {option}={options[option]!r}")
        options["classes"] = 0
    return build(**options) if spec is None else build.from_spec(spec, **options)


def backbone(name: str, x: Any, **options: Any) -> list:
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
    features = builder(name).features
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
    if not isinstance(pattern, str):
        raise _check.refuse("pattern", 'text, such as "*resnext*"', pattern)
    _check.one_of("pretrained", pretrained, (None, True, False))
    rows = _rows()
    known = sorted({row["family"] for row in rows.values()})
    if family is not None and family not in known:
        raise InputError(f"family must be one of {', '.join(known)}. Received: {family!r}")
    return sorted(
        name
        for name, row in rows.items()
        if fnmatch.fnmatchcase(name, pattern.lower())
        and family in (None, row["family"])
        and pretrained in (None, bool(catalogue.tags(name)))
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
    row, facts = _known(name), _read("facts.json").get(name, {})
    return ModelInfo(
        name=name,
        spec=_Later(name),
        stages=tuple(map(tuple, facts.get("stages", ()))),
        **{key: facts.get(key) for key in _MEASURED if key != "stages"},
        **{
            **row,
            "input_shape": tuple(row["input_shape"]),
            "weights": catalogue.tags(name),
            "preprocessing": Preprocessing.from_dict(row["preprocessing"]),
        },
    )
