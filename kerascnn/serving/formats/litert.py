"""LiteRT (TensorFlow Lite), for phones and small computers: one image in, as the network takes it, probabilities out.

The graph takes one image, not a batch: sizes that are all known are what its delegates for GPUs and other accelerators
want. `load` asks it once for each image.
"""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._files import replace_with
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.checking import CheckReport
from kerascnn.serving.formats import _graph, _installed, _package
from kerascnn.serving.formats import quantize as quantizing
from kerascnn.serving.formats._runtimes import INPUT

FILE = "model.tflite"
_NAME, _MODULES = "litert", ("ai_edge_litert",)


def write(
    predictor: Predictor,
    folder: Path,
    *,
    precision: str = "float32",
    quantize: str | None = None,
    calibration: quantizing.Calibration | None = None,
) -> None:
    """Writes model.tflite and what belongs beside it.

    Args:
        predictor: a network in use, with its Keras model.
        folder: empty.
        precision: float32; or float16, in which weights are kept, while a CPU computes in float32 and a GPU in float16.
        quantize: "int8": weights per channel and activations per tensor, inputs and outputs float32; what LiteRT has no
            int8 kernel for stays in float32. None: not.
        calibration: images for int8.

    Raises:
        InputError: the runtime is missing, the options do not fit together, or LiteRT cannot hold the network.
        OSError: the folder cannot be written.
    """
    _installed.need(_NAME, _MODULES)
    _graph.check_precision(precision)
    quantizing.check_request(_NAME, quantize, calibration, precision)
    if precision == "bfloat16":
        raise InputError("LiteRT keeps weights in float32, float16 or int8. Received: precision=bfloat16")
    network, steps = _graph.folded(predictor)
    function = _graph.frozen(network, predictor, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({INPUT: image[None]} for image in calibration.images)
    contents = _convert(lambda: _int8(converter) if calibration else converter.convert(), network.name)
    with replace_with(folder / FILE) as temporary:
        temporary.write_bytes(contents)
    _package.finish(
        predictor, folder, _NAME, FILE, precision=precision, calibration=calibration, steps=steps,
        versions={"tensorflow": tf.__version__, **_installed.versions_of("ai-edge-litert")},
    )  # fmt: skip


def load(folder: Path) -> Predictor:
    """Reads back what `write` wrote, into LiteRT.

    Raises:
        InputError: it is missing or damaged, or LiteRT is not installed.
    """
    _installed.need(_NAME, _MODULES)
    return _package.load(folder, _NAME)


def check(folder: Path) -> CheckReport:
    """Asks LiteRT alone, in a fresh process; see `_package.check`."""
    _installed.need(_NAME, _MODULES)
    return _package.check(folder, _NAME)


def _int8(converter) -> bytes:
    """Softmax stays in float32: in int8 a row of probabilities, in steps of 1/256, has another sum than 1."""
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=["SOFTMAX"])
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_options=options)
    return debugger.get_nondebug_quantized_model()


def _convert(convert: Callable[[], bytes], name: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # calibration goes through an interpreter that TensorFlow calls old
            return convert()
    except Exception as error:  # the converter has errors of its own, of many lines
        text = str(error)
        absent = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", text)))
        reason = f"it has no {', '.join(absent)}" if absent else " ".join(text.split())[:300]
        raise InputError(f"LiteRT must be able to hold the network ({reason}). Received: {name}") from error
