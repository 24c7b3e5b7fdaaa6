"""Names back: from a layer here to the modules of another library that the rules of `names` translate to it."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator

from kerascnn._errors import InputError
from kerascnn.weights.names import FIELD, Rules, translate

_MOST = 64  # names that one pattern may stand for
_QUANTIFIERS = ("+?", "*?", "??", "+", "*", "?")


def inverse(rules: Rules, layer: str) -> list[str]:
    """All names that the rules translate to a layer, in the order of the rules and of the alternatives in them.

    Args:
        rules: (regular expression, template) pairs, as `translate` takes them, whose expressions consist of literals,
            classes, groups, alternatives and quantifiers. Where a pattern leaves open what the layer's name does not
            tell, it gives no name.
        layer: a layer here, such as `stage1_block2_conv2`.

    Returns:
        Names such as `layer1.1.conv2`, each of which translates to the layer.
    """
    found: dict[str, None] = {}
    for pattern, template in rules:
        tree = _parsed(pattern)
        groups = {part.number: part for part in _groups(tree)}
        values = _values(template, layer, groups)
        if values is None:
            continue
        for name in itertools.islice(_texts(tree, values), _MOST):
            if translate(rules, name) == layer:
                found[name] = None
    return list(found)


# A pattern as a tree: alternatives of sequences of parts


@dataclasses.dataclass(frozen=True)
class _Literal:
    text: str


@dataclasses.dataclass(frozen=True)
class _Class:
    """One character of several."""

    source: str
    characters: str  # "" where they are too many to list


@dataclasses.dataclass(frozen=True)
class _Group:
    source: str
    number: int  # 0: not captured
    alternatives: tuple


@dataclasses.dataclass(frozen=True)
class _Repeated:
    part: object
    quantifier: str


@functools.lru_cache(1024)
def _parsed(pattern: str) -> tuple:
    reader = _Reader(pattern)
    tree = reader.alternatives()
    if reader.rest:
        raise InputError(f"A pattern of names must have pairs of parentheses. Received: {pattern!r}")
    return tree


class _Reader:
    """Recursive descent over the regular expressions that rules are made of."""

    def __init__(self, pattern: str):
        self.rest, self.count = pattern, 0

    def alternatives(self) -> tuple:
        found = [self.sequence()]
        while self.rest.startswith("|"):
            self.rest = self.rest[1:]
            found.append(self.sequence())
        return tuple(found)

    def sequence(self) -> tuple:
        parts = []
        while self.rest and self.rest[0] not in "|)":
            part = self.part()
            quantifier = next((q for q in _QUANTIFIERS if self.rest.startswith(q)), "")
            self.rest = self.rest[len(quantifier) :]
            parts.append(_Repeated(part, quantifier) if quantifier else part)
        return tuple(parts)

    def part(self):
        first = self.rest[0]
        if first == "(":
            return self.group()
        if first == "[":
            end = self.rest.index("]") + 1
            source, self.rest = self.rest[:end], self.rest[end:]
            return _Class(source, "".join(c for c in map(chr, range(32, 127)) if re.fullmatch(source, c)))
        if first == "\\":
            source, self.rest = self.rest[:2], self.rest[2:]
            return _Class(source, "") if source[1].isalpha() else _Literal(source[1])
        self.rest = self.rest[1:]
        return _Class(first, "") if first == "." else _Literal(first)

    def group(self) -> _Group:
        before, number = self.rest, 0
        if before.startswith("(?:"):
            self.rest = before[3:]
        else:
            self.count += 1
            number, self.rest = self.count, before[1:]
        alternatives = self.alternatives()
        inside = before[: len(before) - len(self.rest)]
        self.rest = self.rest.removeprefix(")")
        return _Group(inside.removeprefix("(?:").removeprefix("("), number, alternatives)


def _groups(alternatives: tuple) -> Iterator[_Group]:
    for part in itertools.chain(*alternatives):
        part = part.part if isinstance(part, _Repeated) else part
        if isinstance(part, _Group):
            if part.number:
                yield part
            yield from _groups(part.alternatives)


def _values(template: str, layer: str, groups: dict[int, _Group]) -> dict[int, str] | None:
    """What the groups must be so that the template gives the layer; None where it cannot."""
    fields = list(FIELD.finditer(template))
    pattern, place, seen = "", 0, set()
    for index, field in enumerate(fields):
        number = int(field[1])
        pattern += re.escape(template[place : field.start()])
        pattern += r"(\d+)" if field[2] else f"({_uncaptured(groups[number])})"
        place = field.end()
        seen.add((index, number))
    match = re.fullmatch(pattern + re.escape(template[place:]), layer)
    if not match:
        return None
    values: dict[int, str] = {}
    for index, number in sorted(seen):
        value, offset = match[index + 1], int(fields[index][2] or 0)
        if fields[index][2]:
            original = int(value) - offset
            if original < 0:
                return None
            letter = chr(ord("a") + original) if original < 26 else ""
            value = next((x for x in (str(original), letter) if re.fullmatch(groups[number].source, x)), None)
        if value is None or values.setdefault(number, value) != value:
            return None
    return values


def _uncaptured(group: _Group) -> str:
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", group.source)


def _texts(alternatives: tuple, values: dict[int, str]) -> Iterator[str]:
    """The texts that match, where each group has its value."""
    for sequence in alternatives:
        for parts in itertools.product(*(_part_texts(part, values) for part in sequence)):
            yield "".join(parts)


def _part_texts(part, values: dict[int, str]) -> list[str]:
    if isinstance(part, _Literal):
        return [part.text]
    if isinstance(part, _Class):
        return list(part.characters)
    if isinstance(part, _Repeated):
        known = isinstance(part.part, _Group) and part.part.number in values
        if known:
            return [values[part.part.number]]
        return ["", *_part_texts(part.part, values)] if part.quantifier in ("?", "??") else []
    if part.number in values:
        return [values[part.number]] if re.fullmatch(part.source, values[part.number]) else []
    return list(itertools.islice(_texts(part.alternatives, values), _MOST))
