"""One run of the benchmark: threads set, machine measured, cases timed, results shown and written."""

import datetime
import os
from collections.abc import Sequence

import keras
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.benchmark import chart, columns, machine, processes, processor, report, timing
from kerascnn.benchmark.cases import Case
from kerascnn.ops import build_info

DTYPES = ("float32", "float64", "bfloat16", "float16")
_TORCH_SCRIPT = processes.TOOLS / "bench_ops_torch.py"


def benchmark_ops(
    cases: Sequence[Case],
    *,
    dtype: str = "float32",
    threads: int | None = None,
    repeat: int = 15,
    peers_python: str | None = None,
    out: str | os.PathLike | None = None,
    quick: bool = False,
    version: str = "",
    console: Console,
) -> list[dict]:
    """Times the cases, prints a table and writes ops.txt, ops.csv and ops.png.

    Args:
        cases: what `cases.choose` gave.
        dtype: one of DTYPES.
        threads: of every subject; None: as many as this process may use.
        repeat: timed calls of each subject.
        peers_python: an interpreter with torch and torchvision, or None.
        out: folder of the files, or None.
        quick: a rough measurement of the machine, for tests.
        version: kerascnn's.
        console: where progress and the table go.

    Returns:
        The rows of the table, see `report.rows`.

    Raises:
        InputError: a value breaks its rule, or the peers' interpreter has no torch.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}. Received: {dtype}")
    _check.whole("repeat", repeat, 1)
    folder = ensure_folder(out) if out else None
    threads = _set_threads(threads)
    torch = timing.TorchPeer(peers_python, _TORCH_SCRIPT, threads, dtype) if peers_python else None
    try:
        measured = machine.measure(threads, dtype, quick=quick)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("timing", total=len(cases))

            def advance(name):
                bar.update(task, description=name)
                bar.advance(task)

            results = timing.run(cases, dtype=dtype, repeat=repeat, torch=torch, advance=advance)
    finally:
        if torch is not None:
            torch.close()
    found = report.rows(results, measured, tf.as_dtype(dtype).size)
    title = f"{dtype}, {threads} threads, median of {repeat}"
    head = _head(measured, title, torch, version)
    columns.show(console, head, report.as_tables(found, title, columns.room(console)))
    if folder is not None:
        columns.write(folder, "ops", report.as_text(found, head), found, console)
        chart.plot(found, folder / "ops.png", f"kerascnn {version}, {title}, {measured.processor}")
        console.print(f"written: {folder / 'ops.png'}", highlight=False, markup=False, soft_wrap=True)
    return found


def _set_threads(threads: int | None) -> int:
    count = processor.threads(threads)
    if threads is not None:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise InputError(f"TensorFlow already runs with its own number of threads. Received: {threads}") from error
    return count


def _head(measured: machine.Machine, title: str, torch: timing.TorchPeer | None, version: str) -> str:
    built = build_info()
    native = f"native ops built with {built['compiler']}" if built["available"] else f"no native ops: {built['reason']}"
    versions = [f"kerascnn {version}", f"TensorFlow {tf.__version__}", f"Keras {keras.__version__}"]
    versions += [torch.versions] if torch else []
    copies = ", ".join(f"{rate / 1e9:.0f} GB/s at {size >> 20} MiB" for size, rate in measured.copy)
    return "\n".join(
        [
            f"{datetime.date.today()}; {measured.processor}; {title}",
            f"{'; '.join(versions)}; {native}",
            f"copy, read and written: {copies}; matrix product: {measured.gemm / 1e9:.0f} GFLOP/s",
        ]
    )
