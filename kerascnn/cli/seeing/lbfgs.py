"""kerascnn explain lbfgs."""

from kerascnn.cli.seeing.attacking import run_with
from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """The smallest change that reaches a class."""
    from kerascnn import explain

    return run_with(explain.lbfgs, request)


WORD = Word("lbfgs", (1, 64), ("target",), ("target",), run)
