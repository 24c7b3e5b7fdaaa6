"""Numbers with units for people, one wording everywhere."""

from collections.abc import Sequence


def short(value: int | None) -> str:
    """A count with three digits and a unit: 25.6M, 4.09G; "?" for None."""
    if value is None:
        return "?"
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{suffix}"
    return str(value)


def count(value: int | None) -> str:
    """All digits of a count, in groups of three; "not recorded" for None."""
    return "not recorded" if value is None else f"{value:,}"


def shape(sizes: Sequence[int], cross: str = " x ") -> str:
    """Sizes with a cross between them: 32 x 32 x 3."""
    return cross.join(map(str, sizes))
