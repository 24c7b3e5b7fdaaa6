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

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.predict import predictor_of
from kerascnn.inference.predictor import Predictor
from kerascnn.serving import checking, formats


def export(
    predictor: Predictor | keras.Model,
    out: str | os.PathLike,
    *,
    format: str = "saved_model",
    native: bool = False,
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

        from kerascnn import inference, serving

        version = serving.export(inference.checkpoint.load("runs/digits"), "exported/digits")
    """
    writer = formats.get(format)
    options = {"native": True} if _check.flag("native", native) else {}
    if not set(options) <= set(inspect.signature(writer.write).parameters):
        raise InputError(f"The format {format} holds no compiled ops. Received: native=True")
    predictor = predictor_of(predictor, **described)
    if predictor.model is None:
        raise InputError(f"Only a Keras model can be exported, not what was exported already{predictor.origin}.")
    with _next_version(out) as (unfinished, publish):
        writer.write(predictor, unfinished, **options)
        if _check.flag("check", check):
            checking.write_report(writer.check(unfinished))
        return publish()


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
