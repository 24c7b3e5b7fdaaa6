"""Writes tests/golden/peer_training.json.gz: what 50 steps of timm's optimizers make of four of its networks.

    LD_LIBRARY_PATH=... python tools/peer_training.py     # two minutes on two cores; needs torch and timm

Weights and images follow from names and numbers (`tests/applications/recorded.py`), so that the loss of each step, in
training mode, and that of the last batch after the steps, in evaluation mode, are all that is kept, beside the names
and shapes of the state dicts and what batch statistics have become. The same in float64 tells how far rounding goes.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import timm
import timm.optim
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "applications"))

import recorded  # noqa: E402

# Rates are small where there are batch norms: a batch of eight makes their training so unstable that the rounding of
# float32 alone would change the loss by percents. How far each weight has moved tells the optimizer all the same.
# What `timm.optim.create_optimizer_v2` is given; tests/training/test_peer_training.py has the same for TrainConfig.
RUNS = {
    "resnet18": ({}, {"opt": "sgd", "lr": 2e-5, "momentum": 0.9, "weight_decay": 1e-4}),
    "mobilenetv2_100": ({}, {"opt": "rmsproptf", "lr": 1e-6, "momentum": 0.9, "eps": 1e-3, "weight_decay": 4e-5}),
    "efficientnet_b0": ({}, {"opt": "rmsproptf", "lr": 1e-6, "momentum": 0.9, "eps": 1e-3, "weight_decay": 1e-5}),
    "vit_tiny_patch16_224": ({"img_size": recorded.SIZE}, {"opt": "adamw", "lr": 1e-4, "weight_decay": 0.05}),
}


def run(name: str, dtype: torch.dtype) -> dict:
    """The losses of a network, its entries and its statistics."""
    options, optimizer_options = RUNS[name]
    model = timm.create_model(name, pretrained=False, num_classes=recorded.CLASSES, **options)
    shapes = {key: list(value.shape) for key, value in model.state_dict().items() if value.is_floating_point()}
    values = {key: torch.from_numpy(value) for key, value in recorded.values(shapes).items()}
    model.load_state_dict({**model.state_dict(), **values})
    model.to(dtype).train()
    optimizer = timm.optim.create_optimizer_v2(model, **optimizer_options)
    losses = []
    for step in range(recorded.STEPS):
        images, labels = batch(step, dtype)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        images, labels = batch(recorded.STEPS - 1, dtype)
        last = torch.nn.functional.cross_entropy(model(images), labels).item()
    entries = model.state_dict()
    statistics = {key: entries[key].double().mean().item() for key in shapes if "running" in key}
    moved = {
        key: (entries[key].double() - values[key].double()).norm().item() for key in shapes if "running" not in key
    }
    return {"shapes": shapes, "losses": losses, "evaluated": last, "statistics": statistics, "moved": moved}


def batch(step: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [n, 3, size, size] and labels."""
    images, labels = recorded.batch(step)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(dtype), torch.from_numpy(labels)


torch.set_num_threads(1)  # the order of sums does not depend on the machine


def main() -> None:
    found = {}
    for name in RUNS:
        single, double = run(name, torch.float32), run(name, torch.float64)
        drift = abs(single["evaluated"] / double["evaluated"] - 1)
        ends = f"{single['losses'][0]:.4f} -> {single['losses'][-1]:.4f}"
        print(f"{name}: loss {ends}, evaluated {single['evaluated']:.5f}; float32 is off by {drift:.1e}")
        for key in ("losses", "evaluated", "statistics", "moved"):  # those of float64: the rounding is then ours alone
            single[key] = double[key]
        found[name] = single
    found["versions"] = f"torch {torch.__version__}, timm {timm.__version__}"
    with open(recorded.TRAINING, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(json.dumps(found, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
