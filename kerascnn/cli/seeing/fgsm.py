"""kerascnn explain fgsm."""

from kerascnn.cli.command import Flag
from kerascnn.cli.seeing.attacking import run_with
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """One step along the sign of the gradient."""
    from kerascnn import explain

    return run_with(explain.fgsm, request, "epsilon")


WORD = Word(
    "fgsm", (1, 64), ("target",), (), run,
    own=(Flag("epsilon", "fgsm, pgd: the largest change of a pixel, of 0 to 255", float, low=0, high=255),),
)  # fmt: skip
