"""The network as ONNX, which is a format and the way to int8 in another: converted from its graph, and quantized."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.formats import _graph
from kerascnn.serving.formats._runtimes import INPUT

MODULES = ("tf2onnx", "onnx", "onnxruntime")
OPSET = 18
# What becomes int8. A softmax or a normalization in int8 loses more than it saves.
_QUANTIZED = ["Conv", "MatMul", "Gemm", "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool",
              "Concat", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Split", "Pad"]  # fmt: skip


def converted(network: keras.Model, predictor: Predictor) -> Any:
    """A network as an ONNX ModelProto.

    Args:
        network: of `_graph.folded`.
        predictor: whose it is.

    Returns:
        The model, with input `images` and output `probabilities`.

    Raises:
        InputError: ONNX cannot hold the network.
    """
    import onnx  # pyright: ignore[reportMissingImports]: an extra
    import tf2onnx  # pyright: ignore[reportMissingImports]: an extra

    function = _graph.frozen(network, predictor)
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)  # what it cannot convert is said below, in one line
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    except InputError:  # of the tracing
        raise
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


def quantize(model: Any, path: Path, images: np.ndarray) -> None:
    """Writes a model in int8, per channel, as pairs of QuantizeLinear and DequantizeLinear.

    Args:
        model: of `converted`.
        path: the file.
        images: float32 [n, height, width, channels]: they set the scales.
    """
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
