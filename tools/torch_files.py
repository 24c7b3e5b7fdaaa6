"""Writes the small files of `torch.save` that tests/weights/test_pth_files.py reads.

    python tools/torch_files.py tests/golden/torch_files

Needs torch and NumPy, not TensorFlow; takes seconds. `expected.json` holds what each sound file's state dict is.
"""

import argparse
import collections
import json
import sys
from pathlib import Path

import numpy as np
import torch


def tensors() -> dict[str, torch.Tensor]:
    """Every kind of tensor that weights may be."""
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()
    made = {f"kinds.{kind}": (torch.arange(6).reshape(2, 3) % 2).to(getattr(torch, kind)) for kind in kinds}
    return made | {
        "bfloat16.values": base.to(torch.bfloat16),
        "whole.weight": base.reshape(2, 3, 4),
        "shared.weight": base.reshape(4, 6),
        "slice.weight": base[5:11],
        "transposed.weight": base.reshape(4, 6).t(),
        "every_second.weight": base[1::2],
        "expanded.weight": base[3].expand(3, 2),
        "scalar": torch.tensor(2.5),
        "scalar.bfloat16": torch.tensor(-3.0, dtype=torch.bfloat16),
        "empty.weight": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=True),
        "channels_last.weight": torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    }


def network() -> torch.nn.Module:
    """Two layers with a batch norm, trained for one step, so that its counter and its statistics are not the first."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        collections.OrderedDict(conv=torch.nn.Conv2d(1, 2, 3), bn=torch.nn.BatchNorm2d(2), pool=torch.nn.Flatten())
    )
    model(torch.randn(2, 1, 4, 4))
    return model


def checkpoint(model: torch.nn.Module) -> dict:
    """What training scripts save."""
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "arch": "tiny",
        "args": argparse.Namespace(lr=0.1, workers=None, data="images"),
        "best_acc1": np.float64(71.5),
        "count": np.int64(5),
        "history": np.arange(3.0),
        "device": torch.device("cpu"),
        "size": torch.Size([2, 3]),
        "dtype": torch.float32,
        "milestones": collections.Counter([2, 4, 4]),
        "names": {"a", "b"},
        "optimizer": optimizer.state_dict(),
        "state_dict": collections.OrderedDict((f"module.{k}", v) for k, v in model.state_dict().items()),
    }


class Tiny(torch.nn.Module):
    """For a TorchScript program."""

    def forward(self, x):
        return x + 1


def values(state: dict) -> dict:
    """What `expected.json` says of a state dict."""
    return {
        name: {
            "dtype": str(value.dtype).removeprefix("torch.").replace("bfloat16", "float32"),
            "shape": list(value.shape),
            "values": value.detach().to(torch.float64).flatten().tolist(),
        }
        for name, value in state.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    assert sys.byteorder == "little"
    model, made = network(), tensors()
    state = model.state_dict()
    everything = checkpoint(model)
    averages = {"n_averaged": torch.tensor(4), **{f"module.{name}": value * 2 for name, value in state.items()}}
    old = {"_use_new_zipfile_serialization": False}
    sound = {
        "zip.pth": (made, {}, made),
        "protocol4.pt": (made, {"pickle_protocol": 4}, made),
        "legacy.pth": (made, old, made),
        "modèle.bin": (state, {}, state),
        "checkpoint.pth": (everything, {}, everything["state_dict"]),
        "checkpoint.pth.tar": (everything, old, everything["state_dict"]),
        "averaged.pth": (
            {"model": state, "model_ema": averages, "epoch": 9},
            {},
            {name: value for name, value in averages.items() if name != "n_averaged"},
        ),
        "lightning.ckpt": (
            {
                "epoch": 1,
                "pytorch-lightning_version": "2.4.0",
                "state_dict": collections.OrderedDict((f"model.{k}", v) for k, v in state.items()),
                "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
                "hyper_parameters": {"lr": 0.1},
            },
            {},
            {f"model.{k}": v for k, v in state.items()},
        ),
    }
    expected = {}
    for name, (content, options, wanted) in sound.items():
        torch.save(content, folder / name, **options)
        expected[name] = values(wanted)
    torch.save(model, folder / "refused_module.pth")
    torch.save({"w": torch.ones(2, dtype=torch.complex64)}, folder / "refused_complex.pth")
    torch.save({"w": torch.ones(2).to(torch.float8_e4m3fn)}, folder / "refused_float8.pth")
    torch.save({"w": torch.eye(2).to_sparse()}, folder / "refused_sparse.pth")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, folder / "refused_quantized.pth")
    torch.save({"w": torch.tensor([1 + 1j]).conj().imag}, folder / "refused_negative_bit.pth")
    torch.save([torch.ones(2)], folder / "refused_list.pth")
    torch.jit.script(Tiny()).save(folder / "refused_script.pt")
    parts = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f" {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items())
        + "}"
        for name, rows in expected.items()
    )
    (folder / "expected.json").write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")  # a tensor a line


if __name__ == "__main__":
    main()
