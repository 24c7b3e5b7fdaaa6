"""Small reference networks of what spaces decode: rows, chains, cells and motifs become Keras networks."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerascnn import _check, applications, cells
from kerascnn._errors import InputError
from kerascnn.cells import Genotype
from kerascnn.search.spaces import BankLayer, Hierarchy, Layer, Row

L = keras.layers
STAGES = 3  # between them maxima of 2x2; each has twice the channels of the one before
_OPERATION = re.compile(r"(conv|sep|depthwise|avg|max|mb(?P<factor>[1-9]))_(?P<size>[1-9])x(?P=size)|identity|mb[1-9]")
_NAMES = "identity, conv_3x3, sep_3x3, depthwise_3x3, avg_3x3, max_3x3, mb3, mb6_5x5, and so on"
_UNIFORM = ("layers", "filters", "kernel")  # fields of a row that are not layers themselves


@dataclasses.dataclass(frozen=True)
class Networks:
    """Builds the network of a candidate of any of our spaces: a classifier of small images that gives logits.

    * A `Genotype` becomes `kerascnn.cells.network` with `cells` normal cells in its first stage.
    * Layers of a `Chain`: each reads the layer before and, joined to it, those that it skips to. A layer has the values
      "operation", or "height", "width" and "filters", or "kernel" and "filters".
    * A `Row` whose values are names of operations: they follow each other, divided into three stages. The numbers
      "layers", "filters" and "kernel" make that many convolutions instead. With `family`, a row changes the fields of
      that network's own row; "16,32,64" is a tuple.
    * Blocks of `Banks`: `one_shot.bank_network`.
    * A `Hierarchy`: its cell once in each of three stages; what reaches a node is added up.

    Args:
        filters: of the stem and the first stage, where the candidate does not say.
        cells: normal cells of the first stage, of genotypes.
        family: registry name of the network whose `Spec` rows are about; None: rows are of layers.

    Raises:
        InputError: an argument is out of range, or there is no such network.

    Example:

        space = spaces.darts()
        model = Networks(filters=4)(space.decode(space.sample(rng)), (8, 8, 1), 10)
    """

    filters: int = 8
    cells: int = 1
    family: str | None = None

    def __post_init__(self):
        _check.whole("filters", self.filters, 2, 4096)
        _check.whole("cells", self.cells, 1, 100)
        if self.family is not None:
            applications.model_info(self.family)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one builder from another."""
        return dataclasses.asdict(self)

    def __call__(self, candidate: Any, input_shape: Sequence[int], classes: int) -> keras.Model:
        """Builds a network.

        Args:
            candidate: what a space decodes.
            input_shape: height, width, channels.
            classes: how many.

        Returns:
            Images -> logits.

        Raises:
            InputError: nothing can be built of it.
        """
        shape = tuple(input_shape)
        if isinstance(candidate, Genotype):
            return cells.network(candidate, cells=self.cells, filters=self.filters, input_shape=shape, classes=classes,
                                 classifier_activation=None)  # fmt: skip
        if isinstance(candidate, Row) and self.family is not None:
            return _family(applications.model_info(self.family), candidate, shape, classes)
        if isinstance(candidate, tuple) and candidate and all(map(_is_block, candidate)):
            from kerascnn.search.one_shot.banks import bank_network  # imports TensorFlow

            return bank_network(candidate, filters=self.filters, input_shape=shape, classes=classes)
        image = keras.Input(shape, name="image")
        if isinstance(candidate, Row):
            x = _row(image, candidate, self.filters)
        elif isinstance(candidate, Hierarchy):
            x = _stages(_conv(image, self.filters, 3), [candidate] * STAGES, self.filters, _motif)
        elif isinstance(candidate, tuple) and candidate and all(isinstance(each, Layer) for each in candidate):
            x = _chain(image, candidate, self.filters)
        else:
            raise _check.refuse("candidate", "a genotype, layers, blocks, a row or a hierarchy", candidate)
        x = L.Dense(classes, name="head")(L.GlobalAveragePooling2D(name="head_pool")(x))
        return keras.Model(image, x, name="searched")


def _is_block(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and all(isinstance(layer, BankLayer) for layer in part)


def _family(info, row: Row, shape, classes: int) -> keras.Model:
    """A network whose own row has other values in these fields; "16,32" is a tuple where the field is one."""
    own = vars(info.spec)
    if not set(row) <= set(own):
        raise _check.refuse("candidate", f"some of {', '.join(own)}, the fields of {info.name}", dict(row))
    values = {}
    for name, value in row.items():
        if isinstance(own[name], tuple) and isinstance(value, str):
            kind = type(own[name][0]) if own[name] else int
            try:
                value = tuple(kind(part) for part in value.split(","))
            except ValueError as error:
                raise _check.refuse(name, f"numbers with commas, such as {own[name]}", value) from error
        values[name] = value
    spec = dataclasses.replace(info.spec, **values)
    return applications.create_model(
        info.name, spec=spec, input_shape=shape, classes=classes, classifier_activation=None
    )


def _row(image, row: Row, filters: int):
    operations = [value for value in row.values() if isinstance(value, str)]
    numbers = {name: value for name, value in row.items() if not isinstance(value, str)}
    if set(numbers) - set(_UNIFORM) or bool(operations) == bool("layers" in numbers):
        raise _check.refuse("candidate", f"names of operations ({_NAMES}), or {', '.join(_UNIFORM)}", dict(row))
    filters, size = numbers.get("filters", filters), numbers.get("kernel", 3)
    operations = operations or [f"conv_{size}x{size}"] * _check.whole("layers", numbers["layers"], 1, 1000)
    return _stages(_conv(image, _check.whole("filters", filters, 1), 3), operations, filters, operation)


def _stages(x, parts: Sequence[Any], filters: int, build: Callable):
    """Parts one after the other, evenly divided into stages."""
    for place, part in enumerate(parts):
        stage = place * STAGES // len(parts)
        if place and stage > (place - 1) * STAGES // len(parts):
            x = L.MaxPooling2D(2, padding="same")(x)
        x = build(x, part, filters * 2**stage)
    return x


def _chain(image, layers: Sequence[Layer], filters: int):
    before, outputs = _conv(image, filters, 3), []
    for place, layer in enumerate(layers):
        stage = place * STAGES // len(layers)
        if place and stage > (place - 1) * STAGES // len(layers):
            before, *outputs = (L.MaxPooling2D(2, padding="same")(x) for x in (before, *outputs))
        read = [before, *(outputs[i] for i in layer.skips if i != place - 1)]
        x, values = (L.Concatenate()(read) if len(read) > 1 else before), dict(layer.values)
        if set(values) == {"operation"}:
            before = operation(x, values["operation"], filters * 2**stage)
        elif {"filters"} < set(values) <= {"filters", "height", "width", "kernel"}:
            size = [values.get(name, values.get("kernel")) for name in ("height", "width")]
            if None in size:
                raise _check.refuse("candidate", "layers with height and width, or kernel", values)
            before = _conv(x, values["filters"], size)
        else:
            raise _check.refuse("candidate", "layers with operation, or with filters and the size of a kernel", values)
        outputs.append(before)
    return before


def _motif(x, hierarchy: Hierarchy, filters: int):
    edges, known = hierarchy.flat(), {0: operation(x, "identity", filters)}

    def value(node: int):
        if node not in known:
            known[node] = None
            reached = [(value(source), name) for source, target, name in edges if target == node and name != "zero"]
            terms = [operation(x, name, filters) for x, name in reached if x is not None]
            known[node] = L.Add()(terms) if len(terms) > 1 else terms[0] if terms else None
        return known[node]

    if (output := value(1)) is None:
        raise InputError("A cell's output must be reached from its input. Received: one that is not")
    return output


def operation(x, name: str, filters: int):
    """An operation by name that keeps the size of a map.

    Args:
        x: Keras tensor [b, h, w, c].
        name: "identity", "conv_3x3", "sep_5x5", "depthwise_3x3", "avg_3x3", "max_3x3", or an inverted bottleneck with
            its expansion and kernel, "mb3" (3x3) or "mb6_5x5"; other sizes and expansions from 1 to 9 too.
        filters: channels that are put out; what has no weights is followed by a 1x1 convolution where x has others.

    Returns:
        Keras tensor [b, h, w, filters].

    Raises:
        InputError: there is no such operation.
    """
    match = _OPERATION.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise _check.refuse("operation", f"one of {_NAMES}", name)
    kind, size, same = name.partition("_")[0], int(match["size"] or 3), x.shape[-1] == filters
    if kind == "conv":
        return _conv(x, filters, size)
    if kind == "sep":
        x = L.SeparableConv2D(filters, size, padding="same", use_bias=False)(x)
        return L.ReLU()(_norm(x))
    if kind.startswith("mb"):
        y = _conv(x, x.shape[-1] * int(kind[2:]), 1) if kind != "mb1" else x
        y = L.ReLU()(_norm(L.DepthwiseConv2D(size, padding="same", use_bias=False)(y)))
        y = _norm(L.Conv2D(filters, 1, use_bias=False)(y))
        return L.Add()([x, y]) if same else y
    if kind == "depthwise":
        x = L.ReLU()(_norm(L.DepthwiseConv2D(size, padding="same", use_bias=False)(x)))
    elif kind != "identity":
        x = (L.MaxPooling2D if kind == "max" else L.AveragePooling2D)(size, 1, "same")(x)
    return x if same else _conv(x, filters, 1)


def _conv(x, filters: int, size):
    """Convolution, batch norm, ReLU."""
    x = L.Conv2D(filters, size, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return L.ReLU()(_norm(x))


def _norm(x):
    return L.BatchNormalization(momentum=0.9)(x)
