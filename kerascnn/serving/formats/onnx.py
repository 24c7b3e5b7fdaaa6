"""ONNX, for ONNX Runtime and whatever else reads it: `images` in, as the network takes them, `probabilities` out.

Batches of any size; layout [n, height, width, channels] as in TensorFlow. Class names and preprocessing are in the
file's metadata too.
"""

import json
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn._files import replace_with
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.checking import CheckReport
from kerascnn.serving.formats import _graph, _installed, _package
from kerascnn.serving.formats import quantize as quantizing
from kerascnn.serving.formats._runtimes import INPUT

FILE = "model.onnx"
_NAME, _MODULES = "onnx", ("tf2onnx", "onnx", "onnxruntime")
_OPSET = 18
# What becomes int8. A softmax or a normalization in int8 loses more than it saves.
_QUANTIZED = ["Conv", "MatMul", "Gemm", "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool",
              "Concat", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Split", "Pad"]  # fmt: skip


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
    _installed.need(_NAME, _MODULES)
    _graph.check_precision(precision)
    quantizing.check_request(_NAME, quantize, calibration, precision)
    if precision == "bfloat16":
        raise InputError("ONNX Runtime computes float32 and float16 on CPUs. Received: precision=bfloat16")
    graph = _converted(_graph.folded(predictor, precision), predictor)
    _describe(graph, predictor, precision if quantize is None else quantize)
    with replace_with(folder / FILE) as temporary:
        if calibration is None:
            temporary.write_bytes(graph.SerializeToString())
        else:
            _quantize(graph, temporary, calibration.images)
    versions = _installed.versions_of("tf2onnx", "onnx", "onnxruntime")
    _package.finish(
        predictor, folder, _NAME, FILE, precision=precision, calibration=calibration,
        versions={**versions, "opset": str(_OPSET)},
    )  # fmt: skip


def load(folder: Path) -> Predictor:
    """Reads back what `write` wrote, into ONNX Runtime.

    Raises:
        InputError: it is missing or damaged, or ONNX Runtime is not installed.
    """
    _installed.need(_NAME, _MODULES[-1:])
    return _package.load(folder, _NAME)


def check(folder: Path) -> CheckReport:
    """Asks ONNX Runtime alone, in a fresh process; see `_package.check`."""
    _installed.need(_NAME, _MODULES[-1:])
    return _package.check(folder, _NAME)


def _converted(network, predictor) -> Any:
    """The network as an ONNX ModelProto."""
    import onnx  # pyright: ignore[reportMissingImports]: an extra
    import tf2onnx  # pyright: ignore[reportMissingImports]: an extra

    function = _graph.frozen(network, predictor)
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)  # what it cannot convert is said below, in one line
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=_OPSET)
    except Exception as error:  # a converter's errors are of any kind
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"ONNX must be able to hold the network ({reason}). Received: {network.name}") from error
    finally:
        logger.setLevel(level)
    _spell_erfc(model)
    known = {node.op_type for node in model.graph.node if node.domain == "" and onnx.defs.has(node.op_type)}
    foreign = sorted({node.op_type for node in model.graph.node} - known)
    if foreign:
        raise InputError(f"ONNX must have the ops of the network. Received: {', '.join(foreign)} in {network.name}")
    return model


def _spell_erfc(model) -> None:
    """erfc(x), of an exact GELU, as 1 - erf(x): ONNX has no erfc, and the converter leaves it as it is."""
    import onnx  # pyright: ignore[reportMissingImports]: an extra

    nodes, one = [], "one_of_erfc"
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf, like = f"{node.output[0]}_erf", f"{node.output[0]}_one"
        nodes += [
            onnx.helper.make_node("Erf", list(node.input), [erf], f"{node.name}_erf"),
            onnx.helper.make_node("CastLike", [one, erf], [like], f"{node.name}_one"),  # it may be float16
            onnx.helper.make_node("Sub", [like, erf], list(node.output), node.name),
        ]
    if len(nodes) > len(model.graph.node):
        kind = onnx.TensorProto.FLOAT
        model.graph.initializer.append(onnx.helper.make_tensor(one, kind, [], [1.0]))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


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


def _quantize(model, path: Path, images: np.ndarray) -> None:
    import onnx  # pyright: ignore[reportMissingImports]: an extra
    from onnxruntime import quantization  # pyright: ignore[reportMissingImports]: an extra
    from onnxruntime.quantization.shape_inference import quant_pre_process  # pyright: ignore[reportMissingImports]

    class Images(quantization.CalibrationDataReader):
        def __init__(self):
            self._rest = iter(images)

        def get_next(self):
            image = next(self._rest, None)
            return None if image is None else {INPUT: image[None]}

    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, prepared = Path(scratch) / "whole.onnx", Path(scratch) / "prepared.onnx"
        onnx.save(model, str(whole))
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared), str(path), Images(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_QUANTIZED,
        )  # fmt: skip
