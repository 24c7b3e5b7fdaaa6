"""The check of an export: the same numbers without Keras, without kerascnn, and without Python."""

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
from kerascnn.serving import warmup
from kerascnn.serving._tensor_file import read_tensors, write_tensors

REPORT = Path("assets.extra") / "check.json"
RELATIVE, ABSOLUTE = 1e-4, 1e-5  # a number may differ by ABSOLUTE + RELATIVE * |expected|
_BINARY = Path(__file__).resolve().parents[1] / "_bin" / "saved_model_run"
_LIMIT = 900  # seconds for one process


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What `check` found; the differences are the largest absolute ones per signature."""

    path: str
    requests: int  # replayed, over both signatures
    reference: str  # what the numbers were compared with
    fresh_process: dict[str, float]  # in a Python process that can import neither kerascnn nor keras
    c_api: dict[str, float] | None  # through TensorFlow's C API, without Python and without oneDNN; None: not run
    c_api_absent: str = ""  # why it was not run

    def __str__(self) -> str:
        def numbers(differences):
            return ", ".join(f"{name} {value:.1e}" for name, value in sorted(differences.items()))

        c_api = f"not run: {self.c_api_absent}" if self.c_api is None else numbers(self.c_api)
        return (
            f"{self.requests} requests, largest difference from {self.reference}: "
            f"Python without keras ({numbers(self.fresh_process)}); C API without Python and oneDNN ({c_api})"
        )


def check(path: str | os.PathLike, images: Sequence[str | os.PathLike] | None = None) -> CheckReport:
    """Checks that an exported model answers the same wherever it is loaded.

    Without `images`, the warm-up requests in the model are replayed and compared with the answers that the network
    gave in memory when it was exported. With `images`, both signatures are asked about them, and compared with this
    process.

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
    folder = saved_models.locate(path)
    native = saved_models.custom_ops(saved_models.meta_graph(folder).graph_def)
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
        fresh = _compare(requests, targets, folder, "a fresh process")
        absent, c_api = _run_c_api(folder, library, calls), None
        if not absent:
            c_api = _compare(requests, targets, folder, "TensorFlow's C API")
    return CheckReport(str(folder), len(requests), reference, fresh, c_api, absent)


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
    folder = saved_models.locate(path)
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
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"The check must end within {_LIMIT} s. Received: {' '.join(command)}") from error


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


def _compare(requests: list[warmup.Request], targets: list[Path], folder: Path, where: str) -> dict[str, float]:
    """The largest difference of probabilities per signature.

    Raises:
        InputError: one is too large, or a class is named that does not have that probability.
    """
    largest: dict[str, float] = {}
    for request, target in zip(requests, targets, strict=True):
        answer = read_tensors(target)
        got, expected = answer["probabilities"], request.outputs["probabilities"]
        same = got.shape == expected.shape and _close(got, expected)
        if same and "classes" in request.outputs:
            same = _same_classes(answer["classes"], got, request.outputs["classes"], expected)
        elif same and "class_map" in request.outputs:
            same = _same_map(answer["class_map"], expected)
        difference = float(np.abs(got - expected).max(initial=0.0)) if got.shape == expected.shape else float("inf")
        if not same:
            raise InputError(
                f"The exported model must give the numbers of the original, but in {where} the signature "
                f"{request.signature} differs by {difference:.1e}. Received: {folder}"
            )
        largest[request.signature] = max(largest.get(request.signature, 0.0), difference)
    return largest


def _close(got, expected) -> bool:
    return bool(np.all(np.abs(got - expected) <= ABSOLUTE + RELATIVE * np.abs(expected)))  # false for NaN


def _same_map(numbers, expected) -> bool:
    """Each pixel has the class of the largest probability, or one of all but equal probability."""
    named = np.take_along_axis(expected, numbers[..., None].astype(np.int64), axis=-1)[..., 0]
    return _close(named, expected.max(axis=-1))


def _same_classes(names, got, expected_names, expected) -> bool:
    """Classes of all but equal probability may change places, also with those just below the best k."""
    for row in range(len(names)):
        for name, value in zip(names[row], got[row], strict=True):
            same_name = expected[row][expected_names[row] == name]
            candidates = same_name if same_name.size else expected[row][-1:]
            if not any(_close(value, candidate) for candidate in candidates):
                return False
    return True
