"""Chains of layers, each of which chooses its values and which earlier layers it reads."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.choices import Choices, Row
from kerascnn.search.spaces.tokens import TokenSpace


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of a chain."""

    values: Row  # what was chosen, by name
    skips: tuple[int, ...] = ()  # the earlier layers that it reads, ascending, from 0


class Chain(TokenSpace):
    """Layers in a row. What a layer without skips reads is for the evaluator to say: the image in NAS, the layer before
    in ENAS, where skips are read beside it.

    Args:
        layers: how many, from 1 to 1,000.
        fields: by name the values that each layer chooses from.
        skips: whether a layer chooses which earlier layers it reads.

    Raises:
        InputError: an argument is something else.

    Source:
        Zoph, Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578, section 3.
    """

    def __init__(self, layers: int, fields: Mapping[str, Sequence], *, skips: bool = True):
        self.layers, self.skips = _check.whole("layers", layers, 1, 1000), _check.flag("skips", skips)
        self._row = Choices(fields)
        sizes, chosen, bits = [], [], []
        for layer in range(self.layers):
            chosen += range(len(sizes), len(sizes) + len(self._row.sizes))
            sizes += self._row.sizes
            if skips:
                bits += range(len(sizes), len(sizes) + layer)
                sizes += [2] * layer
        super().__init__(sizes, [chosen, bits])

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        return {**super().settings(), "fields": self._row.settings()["fields"]}

    def decode(self, tokens: Tokens) -> tuple[Layer, ...]:
        """The layers of a candidate.

        Args:
            tokens: a candidate.

        Returns:
            From the first to the last.

        Raises:
            InputError: it is no candidate.
        """
        rest, layers = self.check(tokens), []
        for number in range(self.layers):
            values, rest = rest[: len(self._row.sizes)], rest[len(self._row.sizes) :]
            bits, rest = (rest[:number], rest[number:]) if self.skips else ((), rest)
            layers.append(Layer(self._row.decode(values), tuple(i for i, bit in enumerate(bits) if bit)))
        return tuple(layers)

    def encode(self, description: Sequence[Layer]) -> Tokens:
        """The tokens of layers.

        Args:
            description: layers as `decode` gives them.

        Returns:
            The candidate.

        Raises:
            InputError: there are more or fewer, a value is none of the space, or a skip is no earlier layer.
        """
        rule = (
            f"{self.layers} layers whose skips are earlier layers" if self.skips else f"{self.layers} layers, no skips"
        )
        if not isinstance(description, Sequence) or len(description) != self.layers:
            raise _check.refuse("description", rule, description)
        tokens: list[int] = []
        for number, layer in enumerate(description):
            earlier = range(number) if self.skips else ()
            if not isinstance(layer, Layer) or not set(layer.skips) <= set(earlier):
                raise _check.refuse("description", rule, description)
            tokens += self._row.encode(layer.values)
            tokens += [int(i in layer.skips) for i in earlier]
        return tuple(tokens)

    def to_json(self, tokens: Tokens) -> list[dict[str, Any]]:
        """Of each layer its values and skips."""
        return [{**layer.values, "skips": list(layer.skips)} for layer in self.decode(tokens)]

    def from_json(self, record: Any) -> Tokens:
        """Reads what `to_json` gave."""
        sound = isinstance(record, list) and all(isinstance(layer, dict) and "skips" in layer for layer in record)
        if not sound or not all(isinstance(layer["skips"], list) for layer in record):
            raise _check.refuse("record", "a list of layers with skips", record)
        values = ({name: value for name, value in layer.items() if name != "skips"} for layer in record)
        return self.encode([Layer(Row(v), tuple(layer["skips"])) for v, layer in zip(values, record, strict=True)])
