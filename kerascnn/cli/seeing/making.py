"""What the words share that make images: class_image, feature_image and inversion."""

from typing import Any

from kerascnn._errors import InputError
from kerascnn.cli.naming import class_number
from kerascnn.cli.seeing.word import Request


def units(request: Request) -> list[int]:
    """The channels, or the class, that are asked for.

    Raises:
        InputError: neither or both are given, channels without a layer, or numbers that are not whole.
    """
    channels, target = request.channels(), request.values["target"]
    if (channels is None) == (target is None) or (channels is None) != (request.values["layer"] is None):
        given = {name: request.values[name] for name in ("target", "layer", "channels")}
        told = ", ".join(f"--{name}={value}" for name, value in given.items() if value is not None) or "none of them"
        raise InputError(f"Either --target, or --layer with --channels, must be given. Received: {told}")
    if channels is None:
        return [class_number(target, list(request.predictor.class_names))]
    return channels


def written(found: Any, request: Request, images: Any = None) -> list[str]:
    """Writes the picture and the arrays; returns their names."""
    import numpy as np

    from kerascnn import explain
    from kerascnn._files import atomic_write

    explain.draw_optimized(found, request.folder / f"{found.method}.png", images=images)
    with atomic_write(request.folder / f"{found.method}.npz", "wb") as file:
        np.savez(file, images=found.images, history=found.history)
    return [f"{found.method}.png", f"{found.method}.npz"]
