"""Writes tests/golden/peer_states.json.gz: small networks of timm and torchvision, so that CI can do without PyTorch.

    LD_LIBRARY_PATH=... python tools/peer_states.py     # 30 networks: a minute; needs torch, torchvision and timm

For each, the names and shapes of the state dict, and every tenth logit of one image, where every entry has the values
that `tests/applications/recorded.py` makes of its name and shape.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "applications")]

import peer_forward  # noqa: E402
import recorded  # noqa: E402

LIBRARIES = ("timm", "torchvision")
COUNT, STEP = 30, 10  # networks; of how many logits one is kept


def chosen() -> list[str]:
    """The pairs "network library" of the catalogue with the fewest parameters."""
    rows = json.loads((ROOT / "kerascnn" / "weights" / "catalogue.json").read_text(encoding="utf-8"))
    facts = json.loads((ROOT / "kerascnn" / "applications" / "facts.json").read_text(encoding="utf-8"))
    pairs = {(row.get("network", name), row["library"]) for name, tags in rows.items() for row in tags.values()}
    pairs = sorted((facts[name]["params"], name, library) for name, library in pairs if library in LIBRARIES)
    return sorted(f"{name} {library}" for _, name, library in pairs[:COUNT])


def record(row: dict, library: str) -> dict:
    """One network: names and shapes, and its logits."""
    model = peer_forward.build(library, row["peer"], **row.get("peer_options", {})).eval()
    shapes = {name: list(value.shape) for name, value in model.state_dict().items() if value.is_floating_point()}
    values = {name: torch.from_numpy(value) for name, value in recorded.values(shapes).items()}
    model.load_state_dict({**model.state_dict(), **values})
    images = torch.from_numpy(np.ascontiguousarray(recorded.image(row["size"]).transpose(0, 3, 1, 2)))
    with torch.no_grad():
        output = model(images)[0].numpy()
    return {"size": row["size"], "shapes": shapes, "logits": [float(f"{value:.7g}") for value in output[::STEP]]}


def main() -> None:
    peers = json.loads((ROOT / "tests" / "golden" / "peers.json").read_text(encoding="utf-8"))
    found = {key: record(peers[key], key.split()[1]) for key in chosen()}
    with open(recorded.PATH, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(json.dumps(found, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
