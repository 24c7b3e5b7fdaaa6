"""The runtimes of the formats that are one file: NumPy and the runtime, neither TensorFlow, Keras nor kerascnn.

Each function here opens a file and returns a function, float32 [n, height, width, channels] -> float32 probabilities.

`check` runs this file as a script, in a process that can import none of those:

    python _runtimes.py FOLDER OUTPUT

answers the images in FOLDER/assets.extra/answers.npz, all at once and the first alone, and writes `together`, `alone`
and `runtime` (name and version) to OUTPUT. Exit status: 0 done; 4 a forbidden module was imported; any other: Python's
traceback says why.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

RECORD = "predictor.json"
ANSWERS = Path("assets.extra") / "answers.npz"
INPUT, OUTPUT = "images", "probabilities"
_FORBIDDEN = ("kerascnn", "keras", "tf_keras", "tensorflow")

Run = Callable[[np.ndarray], np.ndarray]


def onnx(path: Path, record: Mapping[str, Any]) -> Run:
    """ONNX Runtime, on the CPU."""
    import onnxruntime  # pyright: ignore[reportMissingImports]: an extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def litert(path: Path, record: Mapping[str, Any]) -> Run:
    """LiteRT, on the CPU. Its graph takes one image, and an interpreter serves one caller at a time."""
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]: an extra

    runner = Interpreter(model_path=str(path), num_threads=os.cpu_count()).get_signature_runner()
    one_at_a_time = threading.Lock()

    def run(images):
        with one_at_a_time:
            return np.concatenate([runner(**{INPUT: image[None]})[OUTPUT] for image in images])

    return run


def openvino(path: Path, record: Mapping[str, Any]) -> Run:
    """OpenVINO, on the CPU; it would choose bfloat16 by itself on processors that have it."""
    import openvino  # pyright: ignore[reportMissingImports]: an extra

    precision = "bf16" if record["precision"] == "bfloat16" else "f32"
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    one_at_a_time = threading.Lock()

    def run(images):
        with one_at_a_time:
            return np.array(compiled({INPUT: images})[OUTPUT])

    return run


# Name of the format -> (how its file is opened, the package that holds the runtime)
RUNTIMES = {"onnx": (onnx, "onnxruntime"), "litert": (litert, "ai-edge-litert"), "openvino": (openvino, "openvino")}


def open_file(folder: Path, record: Mapping[str, Any]) -> Run:
    """The network in a folder.

    Args:
        folder: with the file that the record names.
        record: what predictor.json says.

    Returns:
        float32 images [n, height, width, channels] -> float32 probabilities.
    """
    run = RUNTIMES[record["format"]][0](folder / record["file"], record)
    return lambda images: run(np.ascontiguousarray(images, np.float32))


def version_of(name: str) -> str:
    """The runtime of a format with its version: "onnxruntime 1.32.0"."""
    import importlib.metadata

    package = RUNTIMES[name][1]
    return f"{package} {importlib.metadata.version(package)}"


def main(arguments: list[str]) -> int:
    """Answers the images that are kept beside a network."""
    here = Path(__file__).resolve().parent  # where modules have the names of the runtimes
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    sys.modules.update(dict.fromkeys(_FORBIDDEN))  # None there is how Python is told that there is no such module
    folder, output = map(Path, arguments)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    run = open_file(folder, record)
    with np.load(folder / ANSWERS, allow_pickle=False) as kept:
        images = kept["images"]
    np.savez(output, together=run(images), alone=run(images[:1]), runtime=version_of(record["format"]))
    found = sorted(name for name, module in sys.modules.items() if module and name.split(".")[0] in _FORBIDDEN)
    if found:
        sys.stderr.write(f"modules that must not be needed were imported: {', '.join(found[:5])}\n")
    return 4 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
