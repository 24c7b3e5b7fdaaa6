"""ONNX, for ONNX Runtime and whatever else reads it: `images` in, as the network takes them, `probabilities` out.

Batches of any size; layout [n, height, width, channels] as in TensorFlow. Class names and preprocessing are in the
file's metadata too.
"""

import json
from pathlib import Path

from kerascnn._errors import InputError
from kerascnn._files import replace_with
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.checking import CheckReport
from kerascnn.serving.formats import _graph, _installed, _onnx_graph, _package
from kerascnn.serving.formats import quantize as quantizing

FILE = "model.onnx"
_NAME, _RUNTIME = "onnx", "onnxruntime"


def write(
    predictor: Predictor,
    folder: Path,
    *,
    precision: str = "float32",
    quantize: str | None = None,
    calibration: quantizing.Calibration | None = None,
) -> None:
    """Writes model.onnx and what belongs beside it.

    Args:
        predictor: a network in use, with its Keras model.
        folder: empty.
        precision: float32 or float16. ONNX Runtime has no bfloat16 convolution for CPUs.
        quantize: "int8", per channel, as pairs of QuantizeLinear and DequantizeLinear; None: not.
        calibration: images for int8.

    Raises:
        InputError: a package is missing, the options do not fit together, or ONNX cannot hold the network.
        OSError: the folder cannot be written.
    """
    _installed.need(_NAME, _onnx_graph.MODULES)
    _graph.check_precision(precision)
    quantizing.check_request(_NAME, quantize, calibration, precision)
    if precision == "bfloat16":
        raise InputError("ONNX Runtime computes float32 and float16 on CPUs. Received: precision=bfloat16")
    network, steps = _graph.folded(predictor, precision)
    graph = _onnx_graph.converted(network, predictor)
    _describe(graph, predictor, precision if quantize is None else quantize)
    with replace_with(folder / FILE) as temporary:
        if calibration is None:
            temporary.write_bytes(graph.SerializeToString())
        else:
            _onnx_graph.quantize(graph, temporary, calibration.images)
    versions = _installed.versions_of("tf2onnx", "onnx", "onnxruntime")
    _package.finish(
        predictor, folder, _NAME, FILE, precision=precision, calibration=calibration, steps=steps,
        versions={**versions, "opset": str(_onnx_graph.OPSET)},
    )  # fmt: skip


def load(folder: Path) -> Predictor:
    """Reads back what `write` wrote, into ONNX Runtime.

    Raises:
        InputError: it is missing or damaged, or ONNX Runtime is not installed.
    """
    _installed.need(_NAME, [_RUNTIME])
    return _package.load(folder, _NAME)


def check(folder: Path) -> CheckReport:
    """Asks ONNX Runtime alone, in a fresh process; see `_package.check`."""
    _installed.need(_NAME, [_RUNTIME])
    return _package.check(folder, _NAME)


def _describe(model, predictor, precision) -> None:
    """Names the batch dimension, and puts class names and constants into the metadata."""
    import onnx  # pyright: ignore[reportMissingImports]: an extra

    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    texts = {
        "class_names": json.dumps(list(predictor.class_names), ensure_ascii=False),
        "preprocessing": json.dumps(predictor.preprocessing.to_dict()),
        "task": predictor.task,
        "precision": precision,
    }
    onnx.helper.set_model_props(model, texts)
