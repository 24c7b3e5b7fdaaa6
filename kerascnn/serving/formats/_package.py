"""What the formats that are one file share: the record beside the file, loading, and the check by the runtime alone.

exported/a/1/
  model.onnx                    or what the format calls its file
  predictor.json                class names, preprocessing, shapes, precision, versions
  assets.extra/answers.npz      two images, what the network in memory answered, and what the file did
  assets.extra/check.json       the report of the check
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import __version__, _records
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor, as_function
from kerascnn.serving import checking
from kerascnn.serving.formats import _installed, _runtimes, _steps
from kerascnn.serving.formats.quantize import Calibration, agreement
from kerascnn.surgery import folding
from kerascnn.tasks import TASKS

_AT_ONCE = 32
_AGAIN = 1e-2  # by how much the probabilities of a quantized file may differ from one processor to another


def finish(
    predictor: Predictor,
    folder: Path,
    name: str,
    file: str,
    *,
    precision: str = "float32",
    calibration: Calibration | None = None,
    steps: list[dict[str, Any]],
    versions: Mapping[str, str],
) -> None:
    """Writes what belongs beside a file, and asks the file for its answers.

    Args:
        predictor: the network in memory.
        folder: with the file in it.
        name: of the format.
        file: its name in the folder.
        precision: of weights and arithmetic.
        calibration: with which it was quantized; None: it was not.
        steps: what was done to the graph, see `_steps.simplified`.
        versions: of what wrote it.

    Raises:
        InputError: the runtime cannot open the file, or not compute it.
    """
    with tf.device("CPU:0"):
        before = as_function(folding.float32_copy(predictor.model), predictor.input_shape)
    images = pictures(predictor)
    expected = before(images)
    record = {
        "format": name,
        "file": file,
        "model": predictor.model.name,
        "task": predictor.task,
        "class_names": list(predictor.class_names),
        "preprocessing": predictor.preprocessing.to_dict(),
        "input_shape": list(predictor.input_shape),
        "output_shape": list(expected.shape[1:]),
        "precision": "int8" if calibration else precision,
        "parameters": sum(int(np.prod(weight.shape)) for weight in predictor.model.weights),
        "versions": {"kerascnn": __version__, "keras": keras.__version__, **versions},
    }
    run = _open(folder, record)
    try:
        written = run(images)
    except Exception as error:  # some runtimes find out only now
        raise _unusable("compute", folder, record, error) from error
    if calibration is not None:
        record["quantization"] = {**calibration.origin, **_compared(before, run, calibration.compared)}
    _records.write(folder / _runtimes.RECORD, record)
    _steps.write(folder, steps)
    np.savez(folder / _runtimes.ANSWERS, images=images, probabilities=expected, written=written)


def pictures(predictor: Predictor) -> np.ndarray:
    """Two images as the network takes them: noise on a slope, of other sizes than its input."""
    height, width, channels = predictor.input_shape
    random = np.random.default_rng(0)
    found = []
    for rows, columns in ((height, width), (2 * height, width + 5)):
        slope = np.linspace(0, 191, rows * columns * channels).reshape(rows, columns, channels)
        found.append(predictor.prepare((slope + random.integers(0, 64, slope.shape)).astype(np.uint8)))
    return np.stack(found)


def _compared(before, run, images) -> dict[str, float]:
    parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
    return agreement(*(np.concatenate([network(part) for part in parts]) for network in (before, run)))


def _open(folder: Path, record: Mapping[str, Any]) -> _runtimes.Run:
    """The file in its runtime; whatever that raises is told in one line."""
    try:
        return _runtimes.open_file(folder, record)
    except Exception as error:  # each runtime has its own errors
        if isinstance(error, ImportError):
            _installed.need(record["format"], [_runtimes.RUNTIMES[record["format"]][1].replace("-", "_")])
        raise _unusable("open", folder, record, error) from error


def _unusable(verb: str, folder: Path, record: Mapping[str, Any], error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:300]
    rule = f"The runtime of {record['format']} must be able to {verb} the file ({reason})"
    return InputError(f"{rule}. Received: {folder / record['file']}")


def load(folder: Path, name: str) -> Predictor:
    """Reads back what `finish` completed.

    Args:
        folder: of the version.
        name: of the format.

    Returns:
        The network in use, in the format's own runtime.

    Raises:
        InputError: it is missing or damaged, or its runtime is not installed.
    """
    folder = Path(folder)
    record = read_record(folder, name)
    try:
        names, shape = tuple(record["class_names"]), tuple(int(size) for size in record["input_shape"])
        preprocessing = Preprocessing.from_dict(record["preprocessing"])
        whole = all(isinstance(text, str) for text in names) and record["task"] in TASKS and len(shape) == 3
        if not whole or record["output_shape"][-1] != len(names) or Path(record["file"]).name != record["file"]:
            raise ValueError("class names, shapes, file and task do not fit together")
        if not isinstance(record["precision"], str):
            raise ValueError("precision must be a text")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"predictor.json is damaged ({error!r}). Received: {folder}") from error
    if not (folder / record["file"]).is_file():
        raise InputError(f"The export must be whole; it has no {record['file']}. Received: {folder}")
    return Predictor(
        class_names=names,
        preprocessing=preprocessing,
        input_shape=shape,
        task=record["task"],
        function=_open(folder, record),
        path=folder,
    )


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """predictor.json of an export.

    Args:
        folder: of the version.
        name: of the format that it must be in.

    Raises:
        InputError: it is missing, damaged, or of another format.
    """
    record = _records.read(folder / _runtimes.RECORD, _runtimes.RECORD)
    if record.get("format") != name:
        raise InputError(f"The export must be in the format {name}. Received: {record.get('format')} in {folder}")
    return record


def check(folder: Path, name: str) -> checking.CheckReport:
    """Asks a file again in a process that can import neither TensorFlow, Keras nor kerascnn.

    Args:
        folder: of the version.
        name: of the format.

    Returns:
        The largest difference of its probabilities from those of the network in memory, and what quantization did.

    Raises:
        InputError: the process fails, or the answers are others: by more than 1e-5 + 1e-4 of a probability in float32,
            or than `checking.TOLERANCES` allow in another precision.
    """
    folder = Path(folder)
    record = read_record(folder, name)
    try:
        with np.load(folder / _runtimes.ANSWERS, allow_pickle=False) as kept:
            expected, written = kept["probabilities"], kept["written"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"The recorded answers must be whole to be compared with. Received: {folder}") from error
    with tempfile.TemporaryDirectory() as scratch:
        answers = _ask(folder, Path(scratch) / "answers.npz")
    together, alone = answers["together"], answers["alone"]
    relative, absolute = checking.TOLERANCES.get(record["precision"], (0.0, np.inf))
    pairs = [("of the original", together, expected, relative, absolute)]
    pairs += [("of a whole batch", alone, together[:1], 1e-4, _AGAIN if np.isinf(absolute) else max(absolute, 1e-5))]
    pairs += [("that it gave when it was written", together, written, 1e-4, _AGAIN)]
    for what, got, wanted, rtol, atol in pairs:
        if got.shape != wanted.shape or not np.all(np.abs(got - wanted) <= atol + rtol * np.abs(wanted)):
            far = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
            raise InputError(
                f"The file must give the numbers {what}, but in {answers['runtime']} alone they differ by {far:.1e}. "
                f"Received: {folder}"
            )
    quantized = record.get("quantization")
    told = quantized or agreement(expected, together)
    return checking.CheckReport(
        str(folder),
        2,
        "the model in memory",
        {"tensors": float(np.abs(together - expected).max())},
        None,
        "it is no SavedModel",
        runtime=str(answers["runtime"]),
        precision=record["precision"],
        agreement=told["agreement"],
        quantization=quantized,
        bytes=sum(path.stat().st_size for path in folder.glob(f"{Path(record['file']).stem}.*")),
        float32_bytes=4 * record["parameters"],
        graph=_steps.read(folder),
    )


def _ask(folder: Path, output: Path) -> dict[str, np.ndarray]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, str(Path(_runtimes.__file__).resolve()), str(folder.resolve()), str(output)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=checking.LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"The check must end within {checking.LIMIT} s. Received: {folder}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"The file must run in a fresh process: {said[-1][:300]}. Received: {folder}")
    with np.load(output, allow_pickle=False) as answers:
        return dict(answers)
