"""kerascnn benchmark."""

from typing import Any

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.benchmark import runtimes
from kerascnn.benchmark.answering import CLOCKS
from kerascnn.benchmark.cases import SHAPES
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow

_DTYPES = ("float32", "float64", "bfloat16", "float16")
_TIMED = ("threads", "repeat", "clock", "peers_python", "image_size", "channels", "calibration", "data_dir")
# Which flags each of the three takes.
_TAKEN = {
    "ops": {"only", "shapes", "dtype", "threads", "repeat", "peers_python", "out"},
    "models": {*_TIMED, "batch", "precision", "runtime", "step", "memory", "out"},
    "serving": {*_TIMED, "batch", "precision", "runtime", "memory", "out", "server", "clients", "seconds", "batching"}
    - {"peers_python"},
}


def run(values: Values, arguments: list[str], console: Console) -> int:
    """kerascnn benchmark; status 1 where something that was asked for failed."""
    what, *names = arguments
    if what not in _TAKEN:
        raise InputError(f"What can be benchmarked is ops, models or serving. Received: {what}")
    for name, value in values.items():
        if value is not None and name not in _TAKEN[what]:
            fitting = " or ".join(kind for kind, taken in _TAKEN.items() if name in taken)
            raise InputError(f"{name} is for kerascnn benchmark {fitting}. Received: {name}={value} for {what}")
    if what == "ops":
        if names:
            raise InputError(f"kerascnn benchmark ops takes flags only. Received: {names[0]}")
        return _ops(values, console)
    if not names:
        raise InputError(f"kerascnn benchmark {what} needs names. Example: {_EXAMPLES[what]}")
    return (_models if what == "models" else _serving)(values, names, console)


def _ops(values: Values, console: Console) -> int:
    from kerascnn.benchmark import cases

    shapes = values["shapes"] or "standard"
    chosen = cases.choose(shapes, values["only"])  # refuses bad values before TensorFlow
    load_tensorflow()
    import kerascnn
    from kerascnn.benchmark import session

    session.benchmark_ops(
        chosen,
        **{name: values[name] for name in ("threads", "peers_python", "out")},
        **_given(values, "dtype", "repeat"),
        quick=shapes == "tiny",
        version=kerascnn.__version__,
        console=console,
    )
    return 0


def _models(values: Values, names: list[str], console: Console) -> int:
    from kerascnn.benchmark import networks, settings, shown

    default = runtimes.WITH_PEERS if values["peers_python"] else runtimes.DEFAULT
    plan = networks.Plan(
        tuple(names), **_batches(values, "batches"), **_words(values, "precision", "precisions"),
        runtimes=_words(values, "runtime", "runtimes").get("runtimes", default), **_words(values, "step", "steps"),
    )  # fmt: skip
    how = settings.Settings(**_given(values, *_TIMED))
    return shown.benchmark_networks(plan, how, memory=bool(values["memory"]), out=values["out"], console=console)


def _serving(values: Values, names: list[str], console: Console) -> int:
    from kerascnn.benchmark import exports, servers, settings, shown

    load, asked = None, _given(values, "clients", "seconds", "batching")
    if values["server"] is not None:
        load = servers.Load(_words(values, "server", "protocols")["protocols"], **asked)
    elif asked:
        raise InputError(f"{next(iter(asked))} is for --server. Received: no server")
    return shown.benchmark_exports(
        names,
        _batches(values, "batches").get("batches", (1, 8)),
        _words(values, "precision", "precisions").get("precisions", ("float32",)),
        _words(values, "runtime", "formats").get("formats", exports.DEFAULT),
        settings.Settings(**_given(values, *_TIMED)),
        load,
        memory=bool(values["memory"]),
        out=values["out"],
        console=console,
    )


def _given(values: Values, *names: str) -> dict[str, Any]:
    """The flags that were given; the library has the defaults of the others."""
    return {name: values[name] for name in names if values[name] is not None}


def _words(values: Values, name: str, argument: str) -> dict[str, tuple[str, ...]]:
    """Words with commas between them, as an argument; nothing where the flag was not given."""
    return {} if values[name] is None else {argument: tuple(word.strip() for word in values[name].split(","))}


def _batches(values: Values, argument: str) -> dict[str, tuple]:
    """Whole numbers, as an argument; what is none is refused by the library."""
    if values["batch"] is None:
        return {}
    return {argument: tuple(int(size) if size == int(size) else size for size in values["batch"])}


_EXAMPLES = {
    "models": "kerascnn benchmark models mobilenetv2_100 --batch 1,8 --runtime stock,native",
    "serving": "kerascnn benchmark serving exported/digits --server rest,grpc",
}
_BOTH = "models and serving"
COMMAND = Command(
    "benchmark",
    "ops | models NAME... | serving DIR|NAME...",
    "Times ops, networks, or exports, beside their peers.",
    _EXAMPLES["models"],
    (
        Flag("threads", "threads of every subject", int, low=1, high=4096, unless_given="all cores of this process"),
        Flag(
            "repeat", "timed calls of each subject, of which the median counts", int, low=1, high=10**6,
            unless_given="15 of ops, else 30",
        ),
        Flag(
            "peers_python", "a Python interpreter with torch, and torchvision or timm, to compare with them too",
            placeholder="FILE",
        ),
        Flag("out", "folder for the tables as text and CSV", placeholder="FOLDER"),
        Flag("batch", "images at a time", list, low=1, high=65_536, unless_given="1,8", group=_BOTH),
        Flag(
            "precision", f"some of {', '.join(runtimes.PRECISIONS)}, where a runtime has it", unless_given="float32",
            group=_BOTH, placeholder="NAMES",
        ),
        Flag(
            "runtime", f"some of {', '.join(runtimes.RUNTIMES)}; the first is what ratios are to",
            unless_given=f"{','.join(runtimes.DEFAULT)}, with --peers_python also torch,compiled; serving a network: "
            "stock,native", group=_BOTH, placeholder="NAMES",
        ),
        Flag("memory", "show peak memory, too", bool, group=_BOTH),
        Flag(
            "clock", "wall; or processor: the time of all threads, which other programs disturb less", choices=CLOCKS,
            unless_given="wall", group=_BOTH,
        ),
        Flag("image_size", "height and width", int, low=1, high=65_536, unless_given="the network's own", group=_BOTH),
        Flag("channels", "of the images", int, low=1, high=1024, unless_given="the network's own", group=_BOTH),
        Flag("calibration", "a data set for int8, as for kerascnn export", group=_BOTH, placeholder="NAME|FOLDER"),
        Flag("data_dir", "folder of it", group=_BOTH, placeholder="FOLDER"),
        Flag("step", "some of inference, train", unless_given="inference", group="models", placeholder="NAMES"),
        Flag(
            "server", "ask kerascnn serve, too: some of rest, grpc", group="server", placeholder="NAMES",
            unless_given="no server",
        ),
        Flag("clients", "that ask at a time", int, low=1, high=4096, unless_given="8", group="server"),
        Flag(
            "seconds", "for each server and protocol", float, low=0.1, high=86_400, unless_given="10", group="server"
        ),
        Flag("batching", "the server computes waiting requests together", bool, group="server"),
        Flag(
            "only", "ops or rows that fit this pattern, or several with commas: lrn, 'conv2d*g32*'", group="ops"
        ),
        Flag("shapes", "which set of shapes", choices=tuple(SHAPES), unless_given="standard", group="ops"),
        Flag("dtype", "of all numbers", choices=_DTYPES, unless_given="float32", group="ops"),
    ),
    run,
    positional=(1, None),
    note="Several values have commas between them. What each runtime is, and how it is timed: docs/benchmarks.md.",
)  # fmt: skip
