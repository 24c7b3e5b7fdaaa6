"""OpenVINO's intermediate representation, for Intel's processors: `images` in, as the network takes them, probabilities
out; batches of any size."""

import os
import tempfile
from pathlib import Path

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.checking import CheckReport
from kerascnn.serving.formats import _graph, _installed, _onnx_graph, _package
from kerascnn.serving.formats import quantize as quantizing
from kerascnn.serving.formats._runtimes import INPUT, OUTPUT

FILE = "model.xml"
_WEIGHTS = "model.bin"
_NAME = _MODULE = "openvino"


def write(
    predictor: Predictor,
    folder: Path,
    *,
    precision: str = "float32",
    quantize: str | None = None,
    calibration: quantizing.Calibration | None = None,
) -> None:
    """Writes model.xml, its weights in model.bin, and what belongs beside them.

    Args:
        predictor: a network in use, with its Keras model.
        folder: empty.
        precision: float32; float16, in which weights are kept, while a CPU computes in float32; or bfloat16, in which a
            CPU that can computes, with weights kept in float16.
        quantize: "int8", per channel, by way of ONNX, whose packages it needs, too; None: not.
        calibration: images for int8.

    Raises:
        InputError: a package is missing, the options do not fit together, or OpenVINO cannot hold the network.
        OSError: the folder cannot be written.
    """
    _installed.need(_NAME, [_MODULE])
    import openvino  # pyright: ignore[reportMissingImports]: an extra

    _graph.check_precision(precision)
    quantizing.check_request(_NAME, quantize, calibration, precision)
    if calibration is not None:
        _installed.need("onnx", _onnx_graph.MODULES)
    network, steps = _graph.folded(predictor)
    versions = {"tensorflow": tf.__version__, **_installed.versions_of("openvino")}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch) / "ir"
        if calibration is None:
            source = Path(scratch) / "graph"
            function = _graph.frozen(network, predictor)
            tf.saved_model.save(tf.Module(), str(source), signatures={"serving_default": function})
        else:
            source = Path(scratch) / "graph.onnx"
            _onnx_graph.quantize(_onnx_graph.converted(network, predictor), source, calibration.images)
            versions |= _installed.versions_of("tf2onnx", "onnx", "onnxruntime")
        try:
            # Core.read_model and not convert_model, which tells OpenVINO's makers that it was used.
            model = openvino.Core().read_model(str(source))
            if [port.any_name for port in (*model.inputs, *model.outputs)] != [INPUT, OUTPUT]:
                raise RuntimeError("it loses the names of inputs and outputs")
            target.mkdir()
            openvino.save_model(model, str(target / FILE), compress_to_fp16=precision != "float32")
        except Exception as error:  # OpenVINO's own errors, of many lines
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"OpenVINO must be able to hold the network ({reason}). Received: {network.name}"
            ) from error
        for name in (_WEIGHTS, FILE):  # the one by which a folder is recognized last
            os.replace(target / name, folder / name)
    _package.finish(
        predictor, folder, _NAME, FILE, precision=precision, calibration=calibration, steps=steps, versions=versions
    )


def load(folder: Path) -> Predictor:
    """Reads back what `write` wrote, into OpenVINO.

    Raises:
        InputError: it is missing or damaged, or OpenVINO is not installed.
    """
    _installed.need(_NAME, [_MODULE])
    return _package.load(folder, _NAME)


def check(folder: Path) -> CheckReport:
    """Asks OpenVINO alone, in a fresh process; see `_package.check`."""
    _installed.need(_NAME, [_MODULE])
    return _package.check(folder, _NAME)
