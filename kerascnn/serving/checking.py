"""The check of a SavedModel: the same numbers without Keras, without kerascnn, and without Python; reports of all."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import read_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import formats, warmup
from kerascnn.serving._tensor_file import read_tensors, write_tensors
from kerascnn.serving.formats import _steps
from kerascnn.serving.formats._report import CheckReport as CheckReport

REPORT = Path("assets.extra") / "check.json"
RELATIVE, ABSOLUTE = 1e-4, 1e-5  # a number may differ by ABSOLUTE + RELATIVE * |expected|
# The same by precision. Products of 8 bits are compared with the same in TensorFlow's ops: a number that is rounded the
# other way there is a step of 1/127 apart. Files of other formats have no rule for int8, but a report of how often the
# class stays.
TOLERANCES = {"float32": (RELATIVE, ABSOLUTE), "float16": (0.0, 0.01), "bfloat16": (0.0, 0.05), "int8": (0.0, 0.02)}
_NUMBERS = ("probabilities", "scores", "features", "map")  # what a signature answers beside names
_BINARY = Path(__file__).resolve().parents[1] / "_bin" / "saved_model_run"
LIMIT = 900  # seconds for one process


def check(path: str | os.PathLike, images: Sequence[str | os.PathLike] | None = None) -> CheckReport:
    """Checks that an exported model answers the same wherever it is loaded.

    Of a SavedModel, without `images`, the warm-up requests in the model are replayed and compared with the answers that
    the network gave in memory when it was exported. With `images`, `serving_default` and `tensors` are asked about
    them, and compared with this process. Of another format its runtime alone is asked about the images that are kept
    beside it.

    Args:
        path: the folder of a version, or the folder above, of which the highest version is taken.
        images: paths of image files.

    Returns:
        The largest differences; whether the part through the C API ran (its program is built with kerascnn), else why
        not.

    Raises:
        InputError: the model is missing or damaged, an image cannot be read, a process could not load or run the model,
            or a number differs by more than 1e-5 + 1e-4 of its size.
    """
    found = formats.recognize(path)
    if found is not None and found[0] != "saved_model":
        if images is not None:
            raise InputError(
                f"Only a SavedModel is checked with images of one's own. Received: {found[0]} in {found[1]}"
            )
        return formats.get(found[0]).check(found[1])
    folder = saved_models.locate(path)
    graph = saved_models.meta_graph(folder).graph_def
    native, precision = saved_models.custom_ops(graph), saved_models.precision_of(graph)
    library = saved_models.require_library(folder) if native else None
    if images is None:
        requests, reference = warmup.read_requests(folder), "the model in memory"
    else:
        requests, reference = _requests(saved_models.load(folder), images), "this process"
    with tempfile.TemporaryDirectory() as scratch:
        calls, targets = [], []
        for index, request in enumerate(requests):
            source, target = Path(scratch) / f"{index}.in", Path(scratch) / f"{index}.out"
            write_tensors(source, request.inputs)
            calls += [request.signature, str(source), str(target)]
            targets.append(target)
        script = Path(__file__).with_name("_fresh_process.py")
        done = _run([sys.executable, str(script), str(folder), library or "-", *calls])
        if done.returncode:
            raise InputError(f"The model must run in a fresh process: {_last_line(done.stderr)}. Received: {folder}")
        fresh = _compare(requests, targets, folder, "a fresh process", precision)
        absent, c_api = _run_c_api(folder, library, calls), None
        if not absent:
            c_api = _compare(requests, targets, folder, "TensorFlow's C API", precision)
    report = CheckReport(str(folder), len(requests), reference, fresh, c_api, absent, graph=_steps.read(folder))
    if precision == "float32":
        return report
    sizes = [path.stat().st_size for path in (folder / "variables").iterdir()]
    variables = sum(
        np.prod([dim.size for dim in node.attr["shape"].shape.dim], dtype=np.int64)
        for node in graph.node
        if node.op == "VarHandleOp"
    )
    return dataclasses.replace(report, precision=precision, bytes=sum(sizes), float32_bytes=4 * int(variables))


def write_report(report: CheckReport) -> None:
    """Keeps a report beside the warm-up requests of the model that it is about, less its path."""
    values = dataclasses.asdict(report)
    folder = Path(values.pop("path"))
    (folder / REPORT).parent.mkdir(exist_ok=True)
    (folder / REPORT).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_report(path: str | os.PathLike) -> CheckReport | None:
    """Reads the report of the check that was made at export.

    Args:
        path: the folder of a version, or the folder above, of which the highest version is taken.

    Returns:
        The report; None where there was no check.

    Raises:
        InputError: there is no such model.
    """
    found = formats.recognize(path)
    folder = found[1] if found else saved_models.locate(path)
    try:
        return CheckReport(path=str(folder), **json.loads((folder / REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _requests(model: saved_models.SavedModel, paths) -> list[warmup.Request]:
    requests = []
    for path in paths:
        pixels = read_image(path, model.input_shape[-1])  # refuses a missing or damaged file
        contents = Path(path).read_bytes()
        tensor = model.prepare(pixels)[None]
        classes, best = model.classify([contents])
        encoded, said = (
            np.array([contents], object),
            {saved_models.outputs_of(model.task): classes, "probabilities": best},
        )
        requests += [
            warmup.Request("serving_default", {"image_bytes": encoded}, said),
            warmup.Request("tensors", {"images": tensor}, {"probabilities": model.predict(tensor)}),
        ]
    return requests


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", **environment}
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, timeout=LIMIT)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"The check must end within {LIMIT} s. Received: {' '.join(command)}") from error


def _run_c_api(folder: Path, library: str | None, calls: list[str]) -> str:
    """Overwrites the answers with those of the C program; why it could not run, else "".

    The program's own errors have status 2 to 6; others (126, 127, a signal) mean that it did not start.
    """
    if not _BINARY.is_file():
        return f"the program {_BINARY.name} was not built with kerascnn (no C++ compiler when it was installed?)"
    options = ["--library", library] if library else []
    try:
        # TensorFlow uses oneDNN only on some processors, and a few of its kernels do less without: try those here.
        done = _run([str(_BINARY), *options, str(folder), *calls], TF_ENABLE_ONEDNN_OPTS="0")
    except OSError as error:
        return f"the program {_BINARY.name} does not start ({error.strerror})"
    if 2 <= done.returncode <= 6:
        raise InputError(
            f"The model must run through the C API, without oneDNN: {_last_line(done.stderr)}. Received: {folder}"
        )
    if done.returncode:
        return f"the program {_BINARY.name} does not start (status {done.returncode}: {_last_line(done.stderr)})"
    return ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def _compare(
    requests: list[warmup.Request], targets: list[Path], folder: Path, where: str, precision: str = "float32"
) -> dict[str, float]:
    """The largest difference of numbers per signature.

    Raises:
        InputError: one is too large, or a class is named that does not have that probability.
    """
    largest: dict[str, float] = {}
    for request, target in zip(requests, targets, strict=True):
        answer = read_tensors(target)
        name = next(name for name in _NUMBERS if name in request.outputs)
        got, expected = answer[name], request.outputs[name]
        bounds = TOLERANCES[precision]
        if name in ("features", "map"):  # of any size
            bounds = bounds[0], bounds[1] * max(1.0, float(np.abs(expected).max(initial=0.0)))
        same = got.shape == expected.shape and _close(got, expected, bounds)
        if same and "classes" in request.outputs:
            same = _same_classes(answer["classes"], got, request.outputs["classes"], expected, bounds)
        elif same and "class_map" in request.outputs:
            same = _same_map(answer["class_map"], expected, bounds)
        if same and "errors" in request.outputs:
            same = np.array_equal(answer["errors"], request.outputs["errors"])
        difference = float(np.abs(got - expected).max(initial=0.0)) if got.shape == expected.shape else float("inf")
        if not same:
            raise InputError(
                f"The exported model must give the numbers of the original, but in {where} the signature "
                f"{request.signature} differs by {difference:.1e}. Received: {folder}"
            )
        largest[request.signature] = max(largest.get(request.signature, 0.0), difference)
    return largest


def _close(got, expected, bounds=TOLERANCES["float32"]) -> bool:
    relative, absolute = bounds
    return bool(np.all(np.abs(got - expected) <= absolute + relative * np.abs(expected)))  # false for NaN


def _same_map(numbers, expected, bounds=TOLERANCES["float32"]) -> bool:
    """Each pixel has the class of the largest probability, or one of all but equal probability."""
    named = np.take_along_axis(expected, numbers[..., None].astype(np.int64), axis=-1)[..., 0]
    return _close(named, expected.max(axis=-1), (bounds[0], 2 * bounds[1]))


def _same_classes(names, got, expected_names, expected, bounds=TOLERANCES["float32"]) -> bool:
    """Classes of all but equal probability may change places, also with those just below the best k."""
    for row in range(len(names)):
        for name, value in zip(names[row], got[row], strict=True):
            same_name = expected[row][expected_names[row] == name]
            candidates = same_name if same_name.size else expected[row][-1:]
            if not any(_close(value, candidate, bounds) for candidate in candidates):
                return False
    return True
