"""Finds and loads the compiled op library once; knows why it is absent.

Op names are `Kerascnn>Name` in TensorFlow's registry; `library().kerascnn_name(...)` calls one. An op file does

    def conv2d(x, ...):
        if _native.usable(gpu=True):             # library present, mode allows it, not tracing for XLA
            return _native.library().kerascnn_conv2d(...)
        return reference(x, ...)
"""

import contextlib
import ctypes
import functools
import json
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import tensorflow as tf

from kerascnn._errors import InputError

MODES = ("auto", "require", "off")
_FOLDER = Path(__file__).resolve().parents[1]
_LIBRARY, _RECORD = _FOLDER / "_ops.so", _FOLDER / "_build_info.json"


def _checked(mode: str, name: str) -> str:
    if mode not in MODES:
        raise InputError(f"{name} must be one of {', '.join(MODES)}. Received: {mode}")
    return mode


class _State:
    """Everything that changes in this module; guarded by `lock`."""

    lock = threading.RLock()
    overrides: list[str] = []  # modes of the `native(...)` contexts now open, innermost last
    loaded: tuple[ModuleType | None, str] | None = None  # (library, reason of its absence)
    warned = False


def mode() -> str:
    """The mode in force: that of the innermost `native(...)`, else KERASCNN_NATIVE, else "auto"."""
    with _State.lock:
        if _State.overrides:
            return _State.overrides[-1]
    return _checked(os.environ.get("KERASCNN_NATIVE") or "auto", "KERASCNN_NATIVE")


@contextlib.contextmanager
def native(mode: str) -> Iterator[None]:
    """Chooses, for code called or traced inside, between the compiled ops and plain TensorFlow.

    The choice is made when an op is called (eagerly) or traced (in a `tf.function`, a Keras `fit`); a function traced
    before keeps what it has. It holds for the whole process, because a distribution strategy traces on its own threads.

    Args:
        mode: "auto" (native where it is faster, or the only one that works, but never in a graph that is being
            exported: see `exporting`), "require" (the same, but a missing library is an error, and exports hold native
            ops too), "off" (plain TensorFlow only: what a SavedModel for other machines must hold).

    Yields:
        Nothing.

    Returns:
        A context.

    Raises:
        InputError: `mode` is none of these; or "require" and there is no usable library.
    """
    _checked(mode, "mode")
    with _State.lock:
        _State.overrides.append(mode)
    try:
        if mode == "require":
            library()
        yield
    finally:
        with _State.lock:
            # Not simply the last one: contexts of two threads may close in any order.
            del _State.overrides[len(_State.overrides) - 1 - _State.overrides[::-1].index(mode)]


def _record() -> dict[str, Any]:
    """What setup.py wrote about the build; empty where nothing was ever built."""
    try:
        return json.loads(_RECORD.read_text())
    except (OSError, ValueError):
        return {}


def _series(version: str | None) -> str:
    """TensorFlow keeps its C++ interface within a minor release only."""
    return ".".join((version or "").split(".")[:2])


def _missing(name: str) -> NoReturn:
    """What the library answers where it is asked for an op that it lacks."""
    if not name.startswith("kerascnn_"):
        raise AttributeError(name)
    raise InputError(
        f"The compiled library is older than the Python code: it has no op {name}. Compile it again, by `make build` "
        f"in a checkout or by installing kerascnn again. Received: {_LIBRARY}"
    )


def _load() -> tuple[ModuleType | None, str]:
    record = _record()
    if not _LIBRARY.is_file():
        reason = record.get("absent", {}).get("ops", "kerascnn was never built here; run `pip install .`")
        return None, reason
    if _series(record.get("tensorflow")) != _series(tf.__version__):
        built = record.get("tensorflow") or "an unknown version"
        return None, f"it was built for TensorFlow {built}, this is {tf.__version__}; install kerascnn again"
    try:
        module = tf.load_op_library(str(_LIBRARY))
        module.__getattr__ = _missing
        return module, ""
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        return None, f"it could not be loaded: {error}"


def library() -> ModuleType | None:
    """The compiled ops, loaded at the first call; None when the mode is "off" or there is no usable library.

    Raises:
        InputError: the mode is "require" and there is no usable library.
    """
    chosen = mode()
    if chosen == "off":
        return None
    with _State.lock:
        if _State.loaded is None:
            _State.loaded = _load()
        found, reason = _State.loaded
        if found is None and chosen == "require":
            raise InputError(f"Native ops are required, but there is no usable library: {' '.join(reason.split())}")
        if found is None and not _State.warned:
            _State.warned = True
            warnings.warn(
                "kerascnn runs without its compiled ops; grouped and dilated convolutions, local response "
                f"normalization and similar are slower. Reason: {' '.join(reason.split())[:300]}",
                RuntimeWarning,
                stacklevel=2,
            )
        return found


def register() -> bool:
    """Loads the library so that a SavedModel exported with native ops can be loaded; whether it is there."""
    with _State.lock:
        if _State.loaded is None:
            _State.loaded = _load()
        return _State.loaded[0] is not None


def loaded() -> ModuleType:
    """The library for gradients of its own ops: present whenever one is being differentiated, whatever the mode.

    Raises:
        InputError: a graph holds a native op that this process cannot run.
    """
    if not register():
        raise InputError(f"This model holds native ops, but there is no usable library: {_State.loaded[1]}")
    return _State.loaded[0]


def build_info() -> dict[str, Any]:
    """What was compiled, and whether it can be used here.

    Returns:
        A dict: `available` (bool), `reason` (why not, else ""), `mode`, `library` (path), `tensorflow` (built for),
        `compiler`, `cpu_levels` and `cuda` (`architectures`, `reason`), `absent` (what was not built, and why), `tiles`
        (what multiplies tiles of bfloat16 here: "amx", "emulated" or "none").
    """
    available = register()
    reason = "" if available else _State.loaded[1]
    record = {"tensorflow": None, "compiler": None, "cpu_levels": [], "cuda": {}, "absent": {}, **_record()}
    here = {"available": available, "reason": reason, "mode": mode(), "library": str(_LIBRARY), "tiles": tile_unit()}
    return {**here, **record}


@functools.cache
def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU: ops without a CUDA kernel must then trace plain TensorFlow."""
    return bool(tf.config.list_physical_devices("GPU"))


@functools.cache
def cuda_problem() -> str:
    """What keeps this build's CUDA kernels from running here: no library, built without CUDA, no driver, an old device.

    Returns:
        The reason in words, "" where they run. Asks the driver and starts nothing on a device.
    """
    if not register():
        return _State.loaded[1]
    question = ctypes.CDLL(str(_LIBRARY)).kerascnn_cuda_problem
    question.restype = ctypes.c_char_p
    return question().decode()


@functools.cache
def tile_unit() -> str:
    """What multiplies tiles of bfloat16 in this process: "amx", "emulated" (for tests) or "none".

    Returns:
        The word; "none" as well where there is no library. The environment variable KERASCNN_TILES=auto|off|emulated,
        read when the library is first asked, may say otherwise than the processor.

    Raises:
        InputError: KERASCNN_TILES is none of these words.
    """
    said = os.environ.get("KERASCNN_TILES") or "auto"
    if said not in ("auto", "off", "emulated"):
        raise InputError(f"KERASCNN_TILES must be one of auto, off, emulated. Received: {said}")
    if not register():
        return "none"
    question = ctypes.CDLL(str(_LIBRARY)).kerascnn_tile_unit
    question.restype = ctypes.c_char_p
    return question().decode()


_xla_graphs: "weakref.WeakKeyDictionary[tf.Graph, bool]" = weakref.WeakKeyDictionary()


def tracing_for_xla() -> bool:
    """Whether the graph being traced will be compiled by XLA (`jit_compile=True`), which knows no custom op.

    TensorFlow has no public question for this, but gives a public answer: a `tf.cond` traced where XLA will compile is
    not marked for lowering to switches. So a tiny one is traced in a function of its own inside the current graph, once
    per graph, and the mark is read. A function that was traced outside XLA and is reused inside is not seen.
    """
    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    if graph not in _xla_graphs:

        @tf.function(input_signature=[tf.TensorSpec([], tf.bool)], autograph=False)
        def probe(condition):
            return tf.cond(condition, lambda: 1.0, lambda: 2.0)

        marks = []
        for operation in probe.get_concrete_function().graph.get_operations():
            if operation.type in ("If", "StatelessIf"):
                try:
                    marks.append(operation.get_attr("_lower_using_switch_merge"))
                except ValueError:
                    marks.append(False)
        _xla_graphs[graph] = marks == [False]
    return _xla_graphs[graph]


# Functions whose callers want a graph to write to a file or to convert: by module, or by name within TensorFlow.
_EXPORTERS = ("keras.src.export.", "tensorflow.python.saved_model.save", "tensorflow.lite.python.", "tf2onnx.")
# Modules whose graphs stay in this process: those of pipelines and of predictors; `serving` says itself what it holds.
_KEPT = ("tensorflow.python.data.", "kerascnn.")


def exporting() -> bool:
    """Whether the graph being traced is to be exported: written to a SavedModel, or converted to TFLite or ONNX.

    Other programs read such files, and know no op of ours. Neither TensorFlow nor Keras says so while it traces, but
    who asked is on the stack: `model.export`, `keras.export.ExportArchive`, `tf.saved_model.save`, the converters, or a
    call of `get_concrete_function` from outside, which is how graphs are handed to all of these. A `tf.function` that
    was traced by calling it, in training for instance, keeps what it has: export a fresh one, or trace it under
    `native("off")`.
    """
    if tf.executing_eagerly():
        return False
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.startswith(_EXPORTERS):
            return True
        caller = frame.f_back
        if frame.f_code.co_name == "get_concrete_function" and module.startswith("tensorflow.python.eager."):
            asking = caller.f_globals.get("__name__") or "" if caller else ""
            if not asking.startswith(_KEPT):
                return True
        frame = caller
    return False


def shaped(tensor: tf.Tensor, shape) -> tf.Tensor:
    """`tensor` with what is known about its shape, which is looked at when the graph runs.

    Not in a graph that is exported: TFLite and others lack the op for it.
    """
    before = tensor.shape
    merged = before.merge_with(shape) if before.is_compatible_with(shape) else None
    if merged is not None and str(merged) == str(before):  # == compares no unknown extents
        return tensor
    if merged is None or not exporting():
        return tf.ensure_shape(tensor, shape)
    tensor.set_shape(merged)
    return tensor


def _required_by_context() -> bool:
    """Whether the innermost `native(...)` asks for native ops in exports, too."""
    with _State.lock:
        return bool(_State.overrides) and _State.overrides[-1] == "require"


def usable(gpu: bool = False, host: bool = False) -> bool:
    """Whether an op may call the library here and now.

    Args:
        gpu: the op has CUDA kernels. Without, or where they cannot run, a machine with a GPU runs plain TensorFlow.
        host: the op prepares data, which is the CPU's work also where there is a GPU.

    Raises:
        InputError: the mode is "require" and there is no usable library.
    """
    if library() is None or tracing_for_xla() or (exporting() and not _required_by_context()):
        return False
    return host or not has_gpu() or (gpu and not cuda_problem())
