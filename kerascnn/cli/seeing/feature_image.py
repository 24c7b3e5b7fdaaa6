"""kerascnn explain feature_image."""

from kerascnn.cli.seeing.making import units, written
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """Feature visualization of a class, or of channels of a layer."""
    from kerascnn import explain

    predictor, numbers = request.predictor, units(request)
    found = explain.feature_image(
        predictor.model, numbers, preprocessing=predictor.preprocessing, **request.options("layer", "steps")
    )
    return written(found, request)


WORD = Word("feature_image", (0, 0), ("target", "layer", "channels", "steps"), (), run)
