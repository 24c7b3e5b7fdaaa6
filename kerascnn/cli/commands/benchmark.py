"""kerascnn benchmark."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn benchmark."""
    if arguments != ["ops"]:
        raise InputError(f"What can be benchmarked is ops. Received: {arguments[0]}")
    from kerascnn.benchmark import cases

    chosen = cases.choose(values["shapes"], values["only"])  # refuses bad values before TensorFlow
    load_tensorflow()
    import kerascnn
    from kerascnn.benchmark import session

    session.benchmark_ops(
        chosen,
        dtype=values["dtype"],
        threads=values["threads"],
        repeat=values["repeat"],
        peers_python=values["peers_python"],
        out=values["out"],
        quick=values["shapes"] == "tiny",
        version=kerascnn.__version__,
        console=console,
    )


COMMAND = Command(
    "benchmark",
    "ops",
    "Times every op beside TensorFlow's, Keras' and PyTorch's.",
    "kerascnn benchmark ops --only lrn --out runs/benchmark",
    (
        Flag("only", "ops or rows that fit this pattern, or several with commas: lrn, 'conv2d*g32*'"),
        Flag("shapes", "which set of shapes", default="standard", choices=("standard", "resnext50", "grouped", "tiny")),
        Flag("dtype", "of all numbers", default="float32", choices=("float32", "float64", "bfloat16", "float16")),
        Flag("threads", "threads of every subject", int, low=1, high=4096, unless_given="all cores of this process"),
        Flag("repeat", "timed calls of each subject, of which the median counts", int, 15, low=1, high=10**6),
        Flag("peers_python", "a Python interpreter with torch and torchvision, to compare with them too"),
        Flag("out", "folder for ops.txt, ops.csv and ops.png"),
    ),
    run,
    positional=(1, 1),
)
