"""kerascnn explain codes."""

from kerascnn.cli.command import Flag
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """Images at the places of their codes on a plane, framed by class where they lie in several folders."""
    import numpy as np

    from kerascnn import explain
    from kerascnn._files import atomic_write

    model = request.predictor.model
    found = explain.codes(model, request.images, request.values["layer"])
    plane = explain.plane(found, **request.options("method", "perplexity"))
    folders = [file.parent.name for file in request.files]
    labels = folders if len(set(folders)) > 1 else None
    explain.draw_plane(plane, model, request.images, request.folder / "codes.png", labels=labels)
    with atomic_write(request.folder / "codes.npz", "wb") as file:
        np.savez(file, codes=found.values, points=plane.points, files=[str(file) for file in request.files])
    return ["codes.png", "codes.npz"]


WORD = Word(
    "codes", (4, None), ("layer",), (), run,
    own=(
        Flag("method", "codes: how they become points", choices=("tsne", "pca"), unless_given="tsne"),
        Flag("perplexity", "codes: about how many neighbors each has in tsne", float, low=1, unless_given="30"),
    ),
)  # fmt: skip
