"""PyTorch's side of `kerascnn benchmark models`; runs in an interpreter that has torch and timm.

    kerascnn benchmark models resnet50 --peers-python /path/to/python       # starts this file

Reads what is to be timed from standard input, as kerascnn/benchmark/answering.py says, which it shares. Images are
channels_last. In 16 bits a training step runs under autocast and a forward pass in a network of that type.
"""

import contextlib
import sys
from pathlib import Path

import timm
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "kerascnn" / "benchmark"))  # this one file, not the package

import answering  # noqa: E402


def network(subject: dict) -> torch.nn.Module:
    """timm's network for images of the size that kerascnn's gets."""
    height, width, channels = subject["shape"]
    name = subject["network"]
    if not timm.is_model(name):
        raise answering.Refused(f"timm must have a network of this name. Received: {name}")
    try:
        return timm.create_model(name, in_chans=channels, img_size=(height, width))
    except TypeError:  # networks for images of any size take none
        return timm.create_model(name, in_chans=channels)


def prepare(subject: dict):
    """The call to be timed."""
    torch.set_num_threads(subject["threads"])
    torch.manual_seed(0)
    imported = answering.memory()["now"]
    height, width, channels = subject["shape"]
    model = network(subject)
    kind = getattr(torch, subject["precision"])
    images = torch.randn(subject.get("batch", 1), channels, height, width)
    versions = f"PyTorch {torch.__version__}, timm {timm.__version__}"
    facts = {"versions": versions, "imported": imported, "precision": subject["precision"],
             "parameters": sum(parameter.numel() for parameter in model.parameters())}  # fmt: skip
    if subject["kind"] == "write":
        reason = write(model.eval(), images, subject["file"])
        return None, {**facts, "refused": {subject["name"]: reason} if reason else {}}
    model = model.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    step = training_step if subject["step"] == "train" else forward_pass
    return step(model, images, kind, subject["runtime"]), facts


def write(model: torch.nn.Module, images: torch.Tensor, file: str) -> str:
    """Writes the network as ONNX; why not, where that cannot be done."""
    batch = {"images": {0: "batch"}, "probabilities": {0: "batch"}}
    try:
        torch.onnx.export(model, (images,), file, dynamo=False, input_names=["images"],
                          output_names=["probabilities"], dynamic_axes=batch)  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        return f"torch.onnx.export: {error}"
    return ""


def training_step(model: torch.nn.Module, images: torch.Tensor, kind: torch.dtype, runtime: str):
    """Forward, loss, backward, and an update by SGD with momentum."""
    model.train()
    optimizer, loss = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), torch.nn.CrossEntropyLoss()
    labels = torch.randint(0, model.num_classes, (len(images),))
    run = torch.compile(model) if runtime == "compiled" else model

    def step():
        optimizer.zero_grad()
        narrow = contextlib.nullcontext() if kind == torch.float32 else torch.autocast("cpu", dtype=kind)
        with narrow:
            value = loss(run(images), labels)
        value.backward()
        optimizer.step()

    return step


def forward_pass(model: torch.nn.Module, images: torch.Tensor, kind: torch.dtype, runtime: str):
    """The answer to a batch."""
    model, images = model.eval().to(kind), images.to(kind)
    if runtime == "frozen":
        with torch.no_grad():
            run = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, images)))
    else:
        run = torch.compile(model) if runtime == "compiled" else model

    def forward():
        with torch.inference_mode():
            run(images)

    return forward


if __name__ == "__main__":
    answering.answer(prepare)
