"""Checks of arguments, all in one wording: "NAME must be RULE. Received: NAME=VALUE"."""

import math
import numbers
from collections.abc import Collection
from typing import Any

from kerascnn._errors import InputError


def refuse(name: str, rule: str, value: Any) -> InputError:
    """The error for an argument that cannot be used.

    Args:
        name: of the argument.
        rule: what it must be: "at least 1".
        value: what was received.

    Returns:
        The error, to be raised.
    """
    text = repr(value)
    return InputError(f"{name} must be {rule}. Received: {name}={text if len(text) <= 200 else text[:197] + '...'}")


def one_of(name: str, value: Any, choices: Collection) -> Any:
    """Returns `value` where it is one of the choices.

    Raises:
        InputError: it is not.
    """
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        raise refuse(name, f"one of {', '.join(map(str, choices))}", value)
    return value


def whole(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Returns `value` as an `int` where it is a whole number (NumPy's too, but no bool) in [low, high].

    Raises:
        InputError: it is not.
    """
    sound = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not sound or (low is not None and value < low) or (high is not None and value > high):
        raise refuse(name, f"a whole number{_range(low, high)}", value)
    return int(value)


def real(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False
) -> float:
    """Returns `value` as a `float` where it is a finite number in [low, high].

    Args:
        name: of the argument.
        value: a number, NumPy's too, but no bool.
        low, high: the bounds.
        above, below: `low`, `high` are not allowed themselves.

    Raises:
        InputError: it is not.
    """
    sound = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if sound else math.nan
    except OverflowError:
        number = math.inf
    inside = (number > low if above else number >= low) and (number < high if below else number <= high)
    if not (math.isfinite(number) and inside):
        left, right = "(" if above or low == -math.inf else "[", ")" if below or high == math.inf else "]"
        bounded = low > -math.inf or high < math.inf
        raise refuse(name, f"a finite number{f' in {left}{low:g}, {high:g}{right}' if bounded else ''}", value)
    return number


def flag(name: str, value: Any) -> bool:
    """Returns `value` where it is True or False.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, bool):
        raise refuse(name, "True or False", value)
    return value


def _range(low, high) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f", at least {low}" if low is not None else f", at most {high}" if high is not None else ""
