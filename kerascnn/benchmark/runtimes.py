"""What a network can be timed in: itself, what it is exported as, and its peer in PyTorch."""

import dataclasses
import importlib.util
import platform
from collections.abc import Mapping
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.serving.formats import _installed

STEPS = ("inference", "train")
PRECISIONS = ("float32", "bfloat16", "float16", "int8")
_WIDE = PRECISIONS[:3]
_X86 = platform.machine() in ("x86_64", "AMD64")


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A row of `RUNTIMES`."""

    text: str  # what it is
    kind: str  # who answers: "memory", "export", "torch"
    steps: tuple[str, ...] = ("inference",)
    precisions: tuple[str, ...] = _WIDE
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of `serving.export`; of a model in memory
    extra: str = ""  # of kerascnn, which must be installed
    modules: tuple[str, ...] = ()  # that must be there

    def environment(self, step: str) -> dict[str, str]:
        """Variables of its process. A network in memory trains as `kerascnn train` does."""
        if self.kind != "memory" or not _X86:
            return {}
        onednn = self.options.get("onednn", "1" if step == "train" else None)
        return {} if onednn is None else {"TF_ENABLE_ONEDNN_OPTS": onednn}


RUNTIMES = {
    "keras": Runtime("the network in memory: train_on_batch, predict_on_batch", "memory", STEPS),
    "keras_conv": Runtime(
        "the same, every kerascnn.layers.Conv2D a keras.layers.Conv2D", "memory", STEPS,
        options={"convolutions": "keras"},
    ),
    "no_onednn": Runtime("keras without TensorFlow's oneDNN kernels", "memory", STEPS, options={"onednn": "0"}),
    "xla": Runtime("keras, compiled by XLA", "memory", STEPS, options={"jit": True}),
    "plain": Runtime("the SavedModel that Keras' own export writes", "export", precisions=("float32",)),
    "stock": Runtime("a SavedModel of kerascnn, in TensorFlow's ops", "export"),
    "native": Runtime(
        "a SavedModel with kerascnn's ops", "export", precisions=PRECISIONS, options={"native": True},
    ),
    "onnx": Runtime(
        "ONNX Runtime", "export", precisions=("float32", "float16", "int8"), options={"format": "onnx"}, extra="onnx",
        modules=("tf2onnx", "onnx", "onnxruntime"),
    ),
    "litert": Runtime(
        "LiteRT, which answers the images of a batch one by one", "export", precisions=("float32", "float16", "int8"),
        options={"format": "litert"}, extra="litert", modules=("ai_edge_litert",),
    ),
    "openvino": Runtime(
        "OpenVINO", "export", precisions=PRECISIONS, options={"format": "openvino"}, extra="openvino",
        modules=("openvino",),
    ),
    "torch": Runtime("timm's network of the same name, eager, channels_last", "torch", STEPS),
    "frozen": Runtime("the same through torch.jit.optimize_for_inference", "torch"),
    "compiled": Runtime("the same through torch.compile", "torch", STEPS),
    "torch_onnx": Runtime(
        "ONNX Runtime on what torch.onnx.export writes of timm's network; the peers' Python needs onnx", "torch",
        precisions=("float32",), extra="onnx", modules=("onnxruntime",),
    ),
}  # fmt: skip
DEFAULT = ("keras", "stock", "native")
WITH_PEERS = (*DEFAULT, "torch", "compiled")
FILES = ("onnx", "litert", "openvino")  # formats that are one file


def check(names: tuple[str, ...], peers_python: str | None) -> None:
    """Refuses runtimes that are not there.

    Args:
        names: keys of RUNTIMES.
        peers_python: an interpreter with torch and timm, or None.

    Raises:
        InputError: there is no such runtime, or it is not installed.
    """
    for name in names:
        _check.one_of("runtime", name, tuple(RUNTIMES))
        runtime = RUNTIMES[name]
        if runtime.kind == "torch" and not peers_python:
            raise InputError(
                f"The runtime {name} needs peers_python, an interpreter with the packages of "
                f'pip install "kerascnn[peers]". Received: none'
            )
        if runtime.kind != "torch" and importlib.util.find_spec("tensorflow") is None:
            raise InputError(f"The runtime {name} needs TensorFlow: pip install 'kerascnn[cpu]'. Received: none")
        if runtime.extra:
            _installed.need(runtime.extra, runtime.modules)
