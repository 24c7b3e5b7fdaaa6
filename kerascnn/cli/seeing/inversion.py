"""kerascnn explain inversion."""

from kerascnn.cli.seeing.making import written
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """Images that a layer cannot tell from those that are given."""
    from kerascnn import explain

    layer = request.values["layer"]
    found = explain.inversion(request.predictor.model, request.images, layer, **request.options("steps"))
    return written(found, request, request.images)


WORD = Word("inversion", (1, 16), ("layer", "steps"), ("layer",), run)
