"""Options of generated sets: a size and named numbers, as in "64x48x3,classes=5"."""

import re
from collections.abc import Mapping

from kerascnn._errors import InputError

Shape = tuple[int, int, int]


def parse(name: str, options: str, shape: Shape, numbers: Mapping[str, int | None]) -> tuple[Shape, dict]:
    """Reads the options of a set.

    Args:
        name: of the set, for the error.
        options: a size and named numbers in any order, separated by commas.
        shape: the default (height, width, channels).
        numbers: the names that may be given, with their defaults.

    Returns:
        Shape and numbers, those that were not given as they were.

    Raises:
        InputError: an option is neither; it is named.
    """
    numbers = dict(numbers)
    for option in filter(None, options.split(",")):
        size = re.fullmatch(r"(\d+)x(\d+)x([13])", option)
        named = re.fullmatch(r"(\w+)=(\d+)", option)
        if size:
            shape = tuple(int(number) for number in size.groups())
        elif named and named[1] in numbers:
            numbers[named[1]] = int(named[2])
        else:
            *names, last = (f"{key}=" for key in numbers)
            rule = f"Options of {name} are HEIGHTxWIDTHx1 or x3, {', '.join(names)} and {last}"
            raise InputError(f"{rule}. Received: {option!r}")
    return shape, numbers


def fill_parts(numbers: dict, share: int) -> None:
    """Fills in how many examples are for testing, 1 / `share` of those for training, and as many for validation."""
    if numbers["test"] is None:
        numbers["test"] = max(numbers["examples"] // share, 1)
    if numbers["validation"] is None:
        numbers["validation"] = numbers["test"]
