"""Writes an export as the next version in a folder: whole, checked, or not at all."""

import contextlib
import errno
import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerascnn import _check, data
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.predict import predictor_of
from kerascnn.inference.predictor import Predictor
from kerascnn.serving import checking, formats
from kerascnn.serving.formats import quantize as quantizing

_LACKS = {  # what a format has no such option for
    "native": "holds no compiled ops",
    "explain": "has no signatures",
    "precision": "is float32 alone",
    "quantize": "has no int8",
}


def export(
    predictor: Predictor | keras.Model,
    out: str | os.PathLike,
    *,
    format: str = "saved_model",
    native: bool = False,
    explain: bool = False,
    precision: str = "float32",
    quantize: str | None = None,
    calibration: data.Source | None = None,
    calibration_images: int = quantizing.IMAGES,
    seed: int = 0,
    check: bool = True,
    **described: Any,
) -> Path:
    """Exports a network as the next version in a folder, whole or not at all.

    What is written is told by the format's module, `kerascnn.serving.formats.saved_model` for one.

    Args:
        predictor: the network in use; or a Keras model with the arguments of `Predictor.from_model`.
        out: the folder of all versions; the new one is 1 + the highest number there.
        format: one of `formats.names()`.
        native: keep kerascnn's compiled ops; the server must then be linked with them.
        explain: also write the signature `explain`, a map of Grad-CAM, where the format has signatures.
        precision: "float32"; or "bfloat16" or "float16" where the format has it.
        quantize: "int8", where the format has it: weights and activations of 8 bits, scaled by what `calibration`
            shows; of a SavedModel with `native` products alone, scaled by the numbers as they come. None: not.
        calibration: a data set of the kind that the network is for; some images of its training part are taken. None
            where nothing is quantized, and of a SavedModel.
        calibration_images: how many; as many others are taken to compare answers on.
        seed: chooses the images.
        check: compare the answers of what was written with those of the model in memory before the version appears; the
            report is in assets.extra/check.json.
        **described: with a Keras model: class_names, preprocessing, input_shape, logits.

    Returns:
        The new version's folder, `out/<version>`.

    Raises:
        InputError: an argument does not fit the model, its weights or outputs are not finite, the folder cannot be
            written, the format cannot hold the network, or the check finds other numbers than those of the model in
            memory.

    Example:

        from kerascnn import data, inference, serving

        predictor = inference.checkpoint.load("runs/digits")
        version = serving.export(predictor, "exported/digits")
        options = {"quantize": "int8", "calibration": data.load("digits")}
        small = serving.export(predictor, "exported/digits-int8", format="litert", **options)
    """
    writer = formats.get(format)
    options: dict[str, Any] = {"native": True} if _check.flag("native", native) else {}
    options |= {} if precision == "float32" else {"precision": precision}
    options |= {"explain": True} if _check.flag("explain", explain) else {}
    options |= {} if quantize is None else {"quantize": _check.one_of("quantize", quantize, quantizing.KINDS)}
    taken = inspect.signature(writer.write).parameters
    for name in options:
        if name not in taken:
            raise InputError(f"The format {format} {_LACKS[name]}. Received: {name}={options[name]}")
    _check_calibration(format, quantize, calibration, "calibration" in taken)
    predictor = predictor_of(predictor, **described)
    if predictor.model is None:
        raise InputError(f"Only a Keras model can be exported, not what was exported already{predictor.origin}.")
    _refuse_other_formats(out, format)
    if calibration is not None:
        options["calibration"] = quantizing.calibration(calibration, predictor, calibration_images, seed)
    with _next_version(out) as (unfinished, publish):
        writer.write(predictor, unfinished, **options)
        if _check.flag("check", check):
            checking.write_report(writer.check(unfinished))
        return publish()


def _check_calibration(format: str, quantize: str | None, calibration: data.Source | None, taken: bool) -> None:
    if quantize is not None and not taken:
        if calibration is not None:
            raise InputError(
                f"The format {format} takes its scales from the numbers as they come. Received: calibration"
            )
    elif (quantize is None) != (calibration is None):
        raise InputError(
            "quantize=int8 and a calibration set go together. "
            f"Received: {'calibration' if quantize is None else f'quantize={quantize}'} alone"
        )


def _refuse_other_formats(out: str | os.PathLike, format: str) -> None:
    """A server that watches the folder would take a version of another format for a broken one."""
    found = formats.recognize(out)
    if found is not None and found[0] != format:
        raise InputError(
            f"The versions in a folder must be of one format. Received: {format} beside {found[0]} in {out}"
        )


@contextlib.contextmanager
def _next_version(out: str | os.PathLike) -> Iterator[tuple[Path, Callable[[], Path]]]:
    """Yields a hidden folder to fill and a function that gives it the next number; on failure nothing is left."""
    existed = Path(out).exists()
    parent = ensure_folder(out)
    unfinished = parent / f".unfinished-{os.getpid()}"

    def publish() -> Path:
        while True:
            version = parent / str(max(saved_models.versions(parent), default=0) + 1)
            try:
                os.rename(unfinished, version)
                return version
            except OSError as error:  # another export took the number first: try the next
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise

    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process that had the same number
        unfinished.mkdir()
        yield unfinished, publish
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise InputError(f"The export could not be written ({reason}). Received: {parent}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: the export is there
                parent.rmdir()
