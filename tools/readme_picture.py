"""Draws docs/images/readme.png: the benchmark of results/bench_models.txt, and what the demo's SavedModel predicts.

make demo && python tools/readme_picture.py
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from kerascnn.inference import predict

ROOT = Path(__file__).parents[1]
LABELS = {"kerascnn": "kerascnn", "torch": "PyTorch", "keras": "Keras 3 Conv2D(groups=32)"}


def main() -> None:
    figure = plt.figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[5, 6])
    axis = left.subplots()
    text = (ROOT / "results" / "bench_models.txt").read_text()
    seconds = {name: float(ms) / 1e3 for name, ms in re.findall(r"^(kerascnn|torch|keras) +(\d+)", text, re.MULTILINE)}
    names = sorted(seconds, key=seconds.get, reverse=True)
    bars = axis.barh([LABELS[name] for name in names], [seconds[name] for name in names],
                     color=["#d55e00" if name == "kerascnn" else "#999999" for name in names])  # fmt: skip
    axis.bar_label(bars, [f"{seconds[name]:.3g} s" for name in names], padding=3)
    axis.set(xlim=(0, 1.2 * max(seconds.values())), xlabel="seconds a training step")
    axis.set_title("ResNeXt-50 32x4d, batch 8, 224x224, 2 cores", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)

    images = sorted((ROOT / "demo" / "images").glob("*.png"))
    predictions = predict(images, saved_model=ROOT / "demo" / "exported", top=1)
    cells = right.subplots(2, (len(images) + 1) // 2)
    right.suptitle("What the demo's SavedModel sees in test images", fontsize=10)
    for cell in cells.flat:
        cell.axis("off")
    for cell, path, prediction in zip(cells.flat, images, predictions, strict=False):
        truth = path.stem.replace("_", " ")
        right_answer = prediction.classes[0].replace("/", "-") == truth
        cell.imshow(plt.imread(path), cmap="gray")
        share = f"{prediction.probabilities[0]:.0%}"
        title = f"{prediction.classes[0]}\n{share}" if right_answer else f"{prediction.classes[0]} {share}\nis: {truth}"
        cell.set_title(title, fontsize=8, color="black" if right_answer else "#c00000")
    target = ROOT / "docs" / "images" / "readme.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
