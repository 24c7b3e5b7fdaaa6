"""Names of pictures that belong to image files, and of classes."""

from pathlib import Path

from kerascnn._errors import InputError


def pictures(files: list[Path], method: str) -> list[str]:
    """A name for each picture; images of the same name in different folders are counted.

    Args:
        files: the images.
        method: what the pictures show.

    Returns:
        "photo_gradients.png", "photo_2_gradients.png", ...
    """
    seen: dict[str, int] = {}
    made = []
    for file in files:
        seen[file.stem] = seen.get(file.stem, 0) + 1
        number = f"_{seen[file.stem]}" if seen[file.stem] > 1 else ""
        made.append(f"{file.stem}{number}_{method}.png")
    return made


def class_number(text: str, names: list[str]) -> int:
    """The number of a class: of its name, else of the number that was written.

    Raises:
        InputError: it is neither.
    """
    if text in names:
        return names.index(text)
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(names):
        return int(text)
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise InputError(f"--target must be a class, {shown}, or its number. Received: {text[:80]}")
