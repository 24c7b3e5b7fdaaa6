"""kerascnn explain class_image."""

from kerascnn.cli.naming import class_number
from kerascnn.cli.seeing.making import written
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """The image of a class by gradient ascent."""
    from kerascnn import explain

    number = class_number(request.values["target"], list(request.predictor.class_names))
    return written(explain.class_image(request.predictor.model, number, **request.options("steps")), request)


WORD = Word("class_image", (0, 0), ("target", "steps"), ("target",), run)
