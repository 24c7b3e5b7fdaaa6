"""kerascnn explain patches."""

from kerascnn.cli.command import Flag
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """The patches that activate channels of a layer most."""
    import numpy as np

    from kerascnn import explain
    from kerascnn._files import atomic_write

    found = explain.patches(
        request.predictor.model, request.images, request.values["layer"],
        channels=request.channels(), **request.options("count"),
    )  # fmt: skip
    explain.draw_patches(found, request.folder / "patches.png")
    with atomic_write(request.folder / "patches.npz", "wb") as file:
        np.savez(
            file, values=found.values, images=found.images, positions=found.positions, fields=found.fields,
            patches=found.patches, channels=found.channels,
        )  # fmt: skip
    with atomic_write(request.folder / "patches.txt") as file:
        for channel, values, numbers in zip(found.channels, found.values, found.images, strict=True):
            for value, number in zip(values, numbers, strict=True):
                file.write(f"{channel}\t{value:.6g}\t{request.files[number]}\n")
    return ["patches.png", "patches.npz", "patches.txt"]


WORD = Word(
    "patches", (1, None), ("layer",), ("layer",), run,
    own=(
        Flag("channels", "patches, feature_image: numbers of the channels", list, low=0, unless_given="the first 16"),
        Flag("count", "patches: how many of each channel", int, low=1, unless_given="9"),
    ),
)  # fmt: skip
