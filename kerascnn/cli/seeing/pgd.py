"""kerascnn explain pgd."""

from kerascnn.cli.command import Flag
from kerascnn.cli.seeing.attacking import run_with
from kerascnn.cli.seeing.fgsm import WORD as FGSM
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """Several steps along the sign of the gradient."""
    from kerascnn import explain

    return run_with(explain.pgd, request, "epsilon", "step", "steps", "restarts")


WORD = Word(
    "pgd", (1, 64), ("target", "steps"), (), run,
    own=(
        *FGSM.own,
        Flag("step", "pgd: the change of a pixel at each step", float, low=0, high=255),
        Flag("restarts", "pgd: ways from different starts", int, low=1),
    ),
)  # fmt: skip
