"""What the layers of other libraries are called here: rules, written down beside each family."""

import re
from collections.abc import Callable, Sequence

from kerascnn._errors import InputError

# (regular expression, template): the first that matches the whole name gives the layer's name here, in which {1} stands
# for a group and {2+1} for a group that is a number, plus or minus another: libraries count blocks from 0, we from 1;
# a single letter is a number too, a = 0. An empty template leaves the layer out, as preprocessing within a network.
# Where several names give one layer, the first is the one that `save_torch` writes: what the library calls it today.
# From a Keras file, "a+b" are two layers with one variable each that the other library has as one layer.
Rules = Sequence[tuple[str, str]]
FIELD = re.compile(r"\{(\d+)([+-]\d+)?\}")  # of a template


class Ordered(tuple):
    """Rules of a library of which files exist with other names than its code has now, or with numbers for names.

    Such a file is read by the order in which it lists its layers, as the library itself reads it. Ours come in the same
    order, that of `model.layers`, but for what `order` changes.

    Args:
        rules: as for all libraries.
        order: our layers with weights, without those of the head, in the model's order -> in the other library's.
        head: our layers with weights that make the head, in their order.
    """

    order: Callable[[list[str]], list[str]]
    head: tuple[str, ...]

    def __new__(cls, rules: Rules, order: Callable[[list[str]], list[str]] = list, head: tuple[str, ...] = ("head",)):
        self = super().__new__(cls, rules)
        self.order, self.head = order, head
        return self


class Ranked(tuple):
    """Rules of a library that has some of our dense layers as 1x1 convolutions, or the reverse.

    Files are read in either form; `save_torch` writes the library's.

    Args:
        rules: as for all libraries.
        layers: those layers, as they are called here.
    """

    layers: tuple[str, ...]

    def __new__(cls, rules: Rules, layers: tuple[str, ...] = ("head",)):
        self = super().__new__(cls, rules)
        self.layers = layers
        return self


def translate(rules: Rules, name: str) -> str | None:
    """The layer that a module or layer of another library corresponds to.

    Args:
        rules: (regular expression, template) pairs, the first full match counts.
        name: what the other library calls it, such as `layer1.0.conv2`.

    Returns:
        The name of the layer here, such as `stage1_block1_conv2`; "" for a layer that is left out; None where no rule
        matches.

    Raises:
        InputError: `name` is no text, or a template does arithmetic on a group that is no number and no letter.
    """
    if not isinstance(name, str):
        raise InputError(f"name must be a text. Received: {str(name)[:80]!r}")
    for pattern, template in rules:
        match = re.fullmatch(pattern, name)
        if match:
            return _filled(template, match)
    return None


def _filled(template: str, match: re.Match) -> str:
    def fill(field: re.Match) -> str:
        value = match[int(field[1])]
        if not field[2]:
            return value or ""
        if value and re.fullmatch("[a-z]", value):
            value = str(ord(value) - ord("a"))
        if value is None or not value.isdigit():
            raise InputError(f"{template!r} adds to a group that must be a number. Received: {value!r} in {match[0]!r}")
        return str(int(value) + int(field[2]))

    return FIELD.sub(fill, template)
