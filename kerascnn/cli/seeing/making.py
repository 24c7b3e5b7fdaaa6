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
    channels, target = request.values["channels"], request.values["target"]
    if (channels is None) == (target is None) or (channels is None) != (request.values["layer"] is None):
        raise InputError("Either --target, or --layer with --channels, must be given. Received: something else")
    if channels is None:
        return [class_number(target, list(request.predictor.class_names))]
    if any(channel != int(channel) for channel in channels):
        raise InputError(f"channels must be whole numbers. Received: --channels={channels}")
    return [int(channel) for channel in channels]


def written(found: Any, request: Request, images: Any = None) -> list[str]:
    """Writes the picture and the arrays; returns their names."""
    import numpy as np

    from kerascnn import explain
    from kerascnn._files import replace_with

    explain.draw_optimized(found, request.folder / f"{found.method}.png", images=images)
    with replace_with(request.folder / f"{found.method}.npz") as temporary, open(temporary, "wb") as file:
        np.savez(file, images=found.images, history=found.history)
    return [f"{found.method}.png", f"{found.method}.npz"]
