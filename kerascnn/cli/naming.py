"""Names of pictures that belong to image files."""

from pathlib import Path


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
