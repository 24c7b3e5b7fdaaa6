"""Gradients of timm's networks in float64, the truth, and how far PyTorch's in float32 are from it.

    python tools/gradient_peers.py FOLDER

For each line NAME that comes, FOLDER has images.npy [batches, n, 3, size, size], labels.npy and options.json. Written
there are state.safetensors, truth0.safetensors, ... (float64, by names of the state dict) and errors.json, for each
layout of PyTorch's an error for each batch; then the versions are said. tools/gradient_error.py asks.
"""

import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def gradients(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the cross-entropy in training mode, by name."""
    model.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    return {name: value.grad.double().contiguous() for name, value in model.named_parameters()}


def error(found: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> float:
    """The length of the difference over the length."""
    square = sum(float((found[key] - value).square().sum()) for key, value in truth.items())
    return (square / sum(float(value.square().sum()) for value in truth.values())) ** 0.5


def smooth(module: torch.nn.Module) -> None:
    """Softplus for every ReLU: see tools/gradient_error.py."""
    for name, child in module.named_children():
        if isinstance(child, (torch.nn.ReLU, torch.nn.ReLU6)):
            setattr(module, name, torch.nn.Softplus())
        smooth(child)


def measure(folder: Path, name: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(
        name, pretrained=False, **json.loads((folder / "options.json").read_text("utf-8"))
    ).train()
    smooth(model)
    images, labels = (torch.from_numpy(np.load(folder / f"{part}.npy")) for part in ("images", "labels"))
    with torch.no_grad():  # no gain is 0, as that of a residual branch may be at first: its gradients would be 0
        for key, value in model.named_parameters():
            if key.endswith("weight") and value.ndim == 1:
                value.uniform_(0.5, 1.0)
    entries = {key: value.clone().contiguous() for key, value in model.state_dict().items()}
    save_file(entries, folder / "state.safetensors")
    truths = []
    model.double()
    for i in range(len(images)):
        model.load_state_dict(entries)  # the statistics move
        truths.append(gradients(model, images[i].double(), labels[i]))
        save_file(truths[-1], folder / f"truth{i}.safetensors")
    model.float()
    errors = {layout: [] for layout in LAYOUTS}
    for layout, form in LAYOUTS.items():
        model.to(memory_format=form)
        for i, truth in enumerate(truths):
            model.load_state_dict(entries)
            errors[layout].append(error(gradients(model, images[i].contiguous(memory_format=form), labels[i]), truth))
    (folder / "errors.json").write_text(json.dumps(errors), encoding="utf-8")


def main() -> None:
    for line in sys.stdin:
        measure(Path(sys.argv[1]), line.strip())
        print(f"PyTorch {torch.__version__}, timm {timm.__version__}", flush=True)


if __name__ == "__main__":
    main()
