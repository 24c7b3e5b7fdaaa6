"""Records what PyTorch's losses give: cross-entropy with weights of classes, divergence of softened outputs.

    python tools/loss_peers.py

A second, into tests/golden/losses.json. Needs torch, not TensorFlow (extra `peers`).
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "losses.json"
IGNORE = 255  # pixels of masks that do not count


def cases():
    """By name: what goes in, and what comes out."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 4)).round(3) * 3
    teacher = random.normal(size=(6, 4)).round(3) * 5
    weights, numbers = [0.5, 2.0, 1.0, 0.0], [0, 3, 1, 1, 2, 0]
    soft = random.dirichlet(np.ones(4), 6).round(3)
    maps, masks = random.normal(size=(2, 4, 3, 3)).round(3) * 3, random.integers(0, 4, (2, 3, 3))
    masks[0, 0, :2] = IGNORE
    given = {"logits": logits, "teacher": teacher, "weights": weights, "soft": soft, "maps": maps}
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in given.items()}
    yield "inputs", {
        "logits": logits.tolist(), "teacher": teacher.tolist(), "weights": weights, "numbers": numbers,
        "soft": soft.tolist(), "maps": maps.transpose(0, 2, 3, 1).tolist(), "masks": masks.tolist(),
    }  # fmt: skip
    for smoothing in (0.0, 0.1):
        for name, outputs, labels in (
            ("numbers", given["logits"], torch.tensor(numbers)),
            ("soft", given["logits"], given["soft"]),
            ("masks", given["maps"], torch.tensor(masks)),
        ):
            options = {"weight": given["weights"], "label_smoothing": smoothing}
            if name != "soft":
                options["ignore_index"] = IGNORE
            each = F.cross_entropy(outputs, labels, reduction="none", **options)
            mean = F.cross_entropy(outputs, labels, **options)
            yield f"{name} {smoothing}", {"each": each.tolist(), "mean": mean.item()}
    for temperature in (1.0, 4.0):
        target = F.softmax(given["teacher"] / temperature, dim=1)
        outputs = given["logits"].clone().requires_grad_()
        loss = F.kl_div(F.log_softmax(outputs / temperature, dim=1), target, reduction="batchmean") * temperature**2
        loss.backward()
        yield f"distillation {temperature}", {"mean": loss.item(), "gradient": outputs.grad.tolist()}


def main() -> None:
    """Writes the file."""
    record = {"torch": torch.__version__, **dict(cases())}
    GOLDEN.write_text("".join(("{\n", ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in record.items()), "\n}\n")))


if __name__ == "__main__":
    main()
