"""The formats that are one file, opened in their runtimes with a given number of threads.

What the formats themselves open (`kerascnn.serving.formats`) takes as many threads as the runtime likes. Imports
neither TensorFlow nor Keras, so that the memory of the process is that of the runtime.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import _records
from kerascnn._errors import InputError
from kerascnn.benchmark import answering
from kerascnn.serving.formats import _installed, _runtimes

_RECORD, _SAVED_MODEL = _runtimes.RECORD, "saved_model.pb"
MODULES = {"onnx": "onnxruntime", "litert": "ai_edge_litert", "openvino": "openvino"}


def locate(path: str | Path) -> tuple[Path, str]:
    """What kind of export a folder is.

    Args:
        path: the folder of a version, or the folder above, of which the highest version counts.

    Returns:
        The folder of the version, and its format: "saved_model" or a key of MODULES.

    Raises:
        InputError: there is no export in it, or one that cannot be timed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"There is no such folder. Received: {folder}")
    numbers = [int(entry.name) for entry in folder.iterdir() if entry.name.isascii() and entry.name.isdigit()]
    for place in (folder, *([folder / str(max(numbers))] if numbers else [])):
        if (place / _SAVED_MODEL).is_file():
            return place, "saved_model"
        if (place / _RECORD).is_file():
            name = _records.read(place / _RECORD, _RECORD).get("format")
            if name not in MODULES:
                raise InputError(
                    f"An export that is timed must be of {', '.join(MODULES)}. Received: {name} in {place}"
                )
            _installed.need(name, [MODULES[name]])
            return place, name
    raise InputError(f"The folder must be an export or hold numbered ones. Received: {folder}")


def prepare(subject: dict[str, Any]) -> tuple[Callable[[], object], dict[str, Any]]:
    """The call to be timed.

    Args:
        subject: "folder", of `locate`; "format"; "batch"; "threads".

    Returns:
        It, and what is told of it: "versions", "precision".
    """
    name, folder = subject["format"], Path(subject["folder"])
    record = _records.read(folder / _RECORD, _RECORD)
    importlib.import_module(MODULES[name])
    imported = answering.memory()["now"]
    images = noise(subject["batch"], record["input_shape"])
    run = _OPEN[name](folder / record["file"], record["precision"], subject["threads"], images)
    facts = {
        "versions": _runtimes.version_of(name), "precision": record["precision"], "imported": imported, "format": name,
    }  # fmt: skip
    return run, facts


def of_torch(subject: dict[str, Any]) -> tuple[Callable[[], object], dict[str, Any]]:
    """The same for a file that PyTorch has written: "file", "shape" (channels first), "batch", "threads"."""
    import onnxruntime  # pyright: ignore[reportMissingImports]: an extra

    imported = answering.memory()["now"]
    images = noise(subject["batch"], subject["shape"])
    run = _onnx(Path(subject["file"]), "float32", subject["threads"], images)
    return run, {"versions": f"onnxruntime {onnxruntime.__version__}", "imported": imported}


def noise(batch: int, shape: Any) -> np.ndarray:
    """Images of random numbers, the same everywhere, float32 [batch, *shape]."""
    return np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)


def _onnx(path, precision, threads, images):
    import onnxruntime  # pyright: ignore[reportMissingImports]: an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda: session.run(None, {given.name: images})


def _litert(path, precision, threads, images):
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]: an extra

    runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    return lambda: [runner(**{_runtimes.INPUT: image[None]}) for image in images]


def _openvino(path, precision, threads, images):
    import openvino  # pyright: ignore[reportMissingImports]: an extra

    kind = "bf16" if precision == "bfloat16" else "f32"  # else it chooses by the processor
    options = {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(str(path), "CPU", options)
    return lambda: np.array(compiled({_runtimes.INPUT: images})[_runtimes.OUTPUT])


_OPEN = {"onnx": _onnx, "litert": _litert, "openvino": _openvino}
