"""From the text of an augmentation to its operations; the grammar stands in `kerascnn.data.augment`."""

import dataclasses
import difflib
import functools
import importlib
import pkgutil
import re

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.data.augment.operation import Operation

# Names, for classification, from before operations could be composed; the numbers they draw must stay what they were.
ALIASES = {
    "pad_crop_flip": "pad_crop + flip",
    "random_resized_crop": "resized_crop + flip",
    "alexnet": "crop + flip + pca_noise",
}
_LONGEST = 1000  # characters
_MODULES = ("operation", "parse")  # of this folder, that hold no operations and are imported by it

_TERM = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*(\+|$)", re.ASCII)
_ARGUMENT = re.compile(
    r"\s*(?:([A-Za-z_]\w*)\s*=)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*)\s*", re.ASCII
)  # fmt: skip


@functools.cache
def operations() -> dict[str, type[Operation]]:
    """All operations, found by listing this folder.

    Returns:
        Name -> class, alphabetically.
    """
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package).__path__
    names = [module.name for module in pkgutil.iter_modules(folder) if module.name not in _MODULES]
    modules = [importlib.import_module(f"{package}.{name}") for name in names]
    found = [operation for module in modules for operation in getattr(module, "OPERATIONS", ())]
    return {operation.name: operation for operation in sorted(found, key=lambda operation: operation.name)}


def parse(text: str, task: str = "classification") -> tuple[Operation, ...]:
    """Reads an augmentation.

    Args:
        text: "none", or operations joined by "+", see `kerascnn.data.augment`.
        task: "classification" or "segmentation".

    Returns:
        The operations in their order; none for "none".

    Raises:
        InputError: the text is none of the grammar, or an operation is unknown, not for the task, has other arguments
            or is out of its place.

    Example:

        from kerascnn.data import augment

        augment.parse("resized_crop(0.25) + flip + mixup(alpha=0.4)")
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise _check.refuse("augment", f"none, or operations joined by +, in at most {_LONGEST} characters", text)
    if text.strip() == "none":
        return ()
    found = tuple(_expanded(text, task))
    for place, operation in enumerate(found):
        if operation.sizes and place:
            names = ", ".join(name for name, other in operations().items() if other.sizes and task in other.tasks)
            raise _refuse(
                f"begin with {operation.name}: only one of {names}, and only the first, takes the image", text
            )
        if not operation.mixes and any(before.mixes for before in found[:place]):
            raise _refuse(f"end with the operations that mix images, so have {operation.name} before them", text)
    return found


def check(text: str, task: str = "classification") -> None:
    """Refuses what `parse` refuses.

    Args:
        text: as for `parse`.
        task: as for `parse`.

    Raises:
        InputError: as for `parse`.
    """
    parse(text, task)


def _expanded(text, task):
    """The operations of a text, one by one."""
    for name, arguments in _terms(text):
        if name in ALIASES and arguments is None and task == "classification":
            names = [term for term, _ in _terms(ALIASES[name])]
        else:
            names = [name]
        for part in names:
            known = operations().get(part)
            if known is None or task not in known.tasks:
                raise _unknown(name, task, text)
            yield known(**_values(known, arguments, text))


def _terms(text):
    """(name, text of the arguments or None) of each term."""
    at, joined = 0, "+"
    while joined:
        term = _TERM.match(text, at)
        if term is None:
            raise _refuse("be none, or NAME or NAME(VALUE, key=VALUE) joined by +", text)
        name, arguments, joined = term.groups()
        at = term.end()
        yield name, arguments


def _values(operation, text, whole):
    """Arguments by name, of the text between the parentheses."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(operation)}
    names = list(kinds)
    what = "numbers" if str not in kinds.values() else "numbers, or the words that there are,"
    takes = f"{operation.name}({', '.join(names)})"
    values = {}
    for place, part in enumerate(text.split(",") if text and text.strip() else ()):
        argument = _ARGUMENT.fullmatch(part)
        if argument is None:
            raise _refuse(f"have {what} as the arguments of {takes}", whole)
        name = argument[1] or (names[place] if place < len(names) else "")
        behind = not argument[1] and any("=" in before for before in text.split(",")[:place])
        if name not in names or name in values or behind:
            raise _refuse(f"have no arguments of {operation.name} but those of {takes}, each once", whole)
        word = argument[2][0].isalpha() or argument[2][0] == "_"
        if word and kinds[name] is not str:
            raise _refuse(f"have {what} as the arguments of {takes}", whole)
        values[name] = argument[2] if kinds[name] is str else float(argument[2])
        if kinds[name] is int and values[name].is_integer():
            values[name] = int(values[name])
    return values


def _unknown(name, task, text) -> InputError:
    there = [known for known, operation in operations().items() if task in operation.tasks]
    there += ALIASES if task == "classification" else ()
    near = difflib.get_close_matches(name, there, 3)
    meant = f"; near to {name}: {', '.join(near)}" if near and name not in near else ""
    return _refuse(f"be none, or of {', '.join(there)}, joined by +, for {task}{meant}", text)


def _refuse(rule, text) -> InputError:
    return InputError(f"augment must {rule}. Received: augment={text[:200]!r}")
