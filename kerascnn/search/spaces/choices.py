"""Networks as rows: named fields, each with finitely many values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.tokens import TokenSpace


class Row(Mapping):
    """Values by name that do not change: hashable, and `**row` is the arguments of a function or of a `Spec`.

    Args:
        values: by name.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class Choices(TokenSpace):
    """All rows of the given values: layers and widths, the fields of a `Spec`, the blocks of a network.

    A token is the place of a value among those of its field, so values are best in an order that means something.

    Args:
        fields: by name the values that a field can have: plain JSON, different from each other.

    Raises:
        InputError: there is no field, or a value is none of a JSON file.

    Source:
        The space of macro architectures of NAS-Bench-Macro, three operations in each of eight layers, is
        `Choices({f"layer{i}": ("identity", "mb3", "mb6") for i in range(8)})`: Su et al.: Prioritized Architecture
        Sampling with Monto-Carlo Tree Search, 2021, arXiv:2103.11922.
    """

    def __init__(self, fields: Mapping[str, Sequence]):
        if not isinstance(fields, Mapping) or not fields or not all(isinstance(name, str) for name in fields):
            raise _check.refuse("fields", "values by name, of at least one name", fields)
        self.fields = {name: unique(f"fields[{name!r}]", values) for name, values in fields.items()}
        for name, values in self.fields.items():
            for value in values:
                if not (value is None or isinstance(value, bool | int | float | str)):
                    raise _check.refuse(f"a value of {name}", "text, a number, True, False or None", value)
        super().__init__([len(values) for values in self.fields.values()])

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        return {**super().settings(), "fields": {name: list(values) for name, values in self.fields.items()}}

    def decode(self, tokens: Tokens) -> Row:
        """The row of a candidate.

        Args:
            tokens: a candidate.

        Returns:
            Its values by name.

        Raises:
            InputError: it is no candidate.
        """
        pairs = zip(self.fields.items(), self.check(tokens), strict=True)
        return Row({name: values[token] for (name, values), token in pairs})

    def encode(self, description: Mapping[str, Any]) -> Tokens:
        """The tokens of a row.

        Args:
            description: values by name.

        Returns:
            The candidate.

        Raises:
            InputError: a name is missing or unknown, or a field has no such value.
        """
        if not isinstance(description, Mapping) or set(description) != set(self.fields):
            raise _check.refuse("description", f"values of {', '.join(self.fields)}", description)
        tokens = []
        for name, values in self.fields.items():
            value = _check.one_of(name, description[name], values)
            tokens.append([(type(each), each) for each in values].index((type(value), value)))  # True is not 1 here
        return tuple(tokens)

    def to_json(self, tokens: Tokens) -> dict[str, Any]:
        """The values by name."""
        return dict(self.decode(tokens))

    def from_json(self, record: Any) -> Tokens:
        """Reads what `to_json` gave."""
        return self.encode(record)


def unique(name: str, given: Iterable) -> tuple:
    """A tuple of at least one value, none of them twice.

    Args:
        name: of the argument.
        given: hashable values.

    Returns:
        The tuple.

    Raises:
        InputError: it is something else.
    """
    rule = "a sequence of different values, at least one"
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise _check.refuse(name, rule, given)
    found = tuple(given)
    try:
        count = len({(type(value), value) for value in found})
    except TypeError:
        count = -1
    if not found or count != len(found):
        raise _check.refuse(name, rule, given)
    return found
