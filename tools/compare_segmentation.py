"""Trains segmentation networks alike on the generated shapes, measures them and draws what they find.

    python tools/compare_segmentation.py --out runs/segmentation [--only deeplab] [--seeds 0,1]

Runs `kerascnn train` and `kerascnn evaluate` for each row of ROWS and each seed, one after the other; what is finished
already is not repeated. Writes table.md (mean IoU, IoU of each class, time, cost), curves.png (mean IoU over the
epochs), predictions.png (the first test images) and sampling_*.png (where the last deformable layers look).
"""

import argparse
import fnmatch
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

DATA = "shapes"
TRAIN = ["--data", DATA, "--augment", "none"]  # the rest is the recipe
DEEPLAB = ["--epochs", "10", "--model"]
ROWS = {  # name -> flags
    "FCN-8s": ["--epochs", "8", "--model", "fcn8s_vgg11_bn_small"],
    "DeepLabV3": ["--epochs", "16", "--model", "deeplabv3_resnet18_small", "--output-stride", "8"],
    # The same for fewer epochs on three backbones.
    "plain, stride 32": [*DEEPLAB, "deeplabv3_resnet18_small", "--output-stride", "32"],
    "dilated, stride 8": [*DEEPLAB, "deeplabv3_resnet18_small", "--output-stride", "8"],
    "deformable, stride 8": [*DEEPLAB, "deeplabv3_deformable_resnet18_small", "--output-stride", "8"],
}
SHOWN = 8  # test images in predictions.png


def run(command: list[str]) -> float:
    """Runs `kerascnn COMMAND`; the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("kerascnn", *command, flush=True)
    subprocess.run([sys.executable, "-m", "kerascnn", *command], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def folder_of(out: Path, name: str, seed: int) -> Path:
    """The run folder of a row and a seed."""
    return out / f"{name.lower().replace(', ', '_').replace(' ', '')}_seed{seed}"


def train(folder: Path, flags: list[str], seed: int, more: list[str]):
    """Trains and measures what is not yet measured; keeps the processor time beside it."""
    if (folder / "evaluation.json").exists():
        return
    command = ["train", *flags, *TRAIN, *more, "--seed", str(seed), "--out", str(folder)]
    seconds = run(command)
    (folder / "cost.json").write_text(json.dumps({"command": ["kerascnn", *command], "cpu_seconds": seconds}))
    run(["evaluate", "--checkpoint", str(folder)])


def measured(folder: Path) -> dict:
    """What a finished run gave."""
    from kerascnn.training import history

    rows = history.read(folder / "history.csv")
    record = json.loads((folder / "evaluation.json").read_text())
    cost = json.loads((folder / "cost.json").read_text())
    return {**record, **cost, "rows": rows, "seconds": float(np.median([row["seconds"] for row in rows]))}


def table(results: dict[str, dict[int, dict]], out: Path):
    """Writes table.md; where there are several seeds, their mean and, after ±, half of what lies between them."""
    from kerascnn import analysis
    from kerascnn.inference import checkpoint

    names = next(iter(next(iter(results.values())).values()))["class_names"]
    head = ["network", "mean IoU", *names, "pixel accuracy", "parameters", "MACs", "time an epoch", "processor time"]
    lines = ["| " + " | ".join(head) + " |", "| --- " + "| ---: " * (len(head) - 1) + "|"]

    def spread(values):
        text = f"{100 * np.mean(values):.1f}"
        return text if len(values) == 1 else f"{text} ± {50 * (max(values) - min(values)):.1f}"

    for name, runs in results.items():
        loaded = checkpoint.load(folder_of(out, name, next(iter(runs))))
        cost = analysis.count(loaded.model, loaded.input_shape)
        found = list(runs.values())
        cells = [
            name, spread([one["mean_iou"] for one in found]),
            *(spread([one["iou"][index] for one in found]) for index in range(len(names))),
            spread([one["pixel_accuracy"] for one in found]), f"{cost.params_trainable / 1e6:.2f} M",
            f"{cost.macs / 1e6:,.0f} M", f"{np.mean([one['seconds'] for one in found]):.0f} s",
            f"{np.mean([one['cpu_seconds'] for one in found]) / 60:.1f} min",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    (out / "table.md").write_text("\n".join(lines) + "\n")


def curves(results: dict[str, dict[int, dict]], out: Path):
    """Draws the mean IoU in validation over the epochs; one line a run, one color a network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for index, (name, runs) in enumerate(results.items()):
        for number, one in enumerate(runs.values()):
            values = [100 * row["val_mean_iou"] for row in one["rows"]]
            axes.plot(range(1, len(values) + 1), values, color=f"C{index}", label=None if number else name)
    axes.set(xlabel="epoch", ylabel="mean IoU on the test images, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out / "curves.png")


def pictures(results: dict[str, dict[int, dict]], out: Path):
    """Draws what the networks find in the first test images, and where the deformable ones look."""
    from kerascnn import analysis, data, evaluation
    from kerascnn.inference import checkpoint

    predictions = {}
    for name, runs in results.items():
        loaded = checkpoint.load(folder_of(out, name, next(iter(runs))))
        source = data.load(loaded.config["data"]["name"])
        split = source.split("test").first(SHOWN, 0)
        settings = {"image_shape": loaded.input_shape, "preprocessing": loaded.preprocessing, "batch_size": SHOWN}
        images, _ = next(iter(data.eval_pipeline(source, "test", **settings)))
        predictions[name] = loaded.model.predict_on_batch(images).argmax(axis=-1)
        if "deformable" not in name:
            continue
        for index in range(2):
            # The middle of the largest shape in the image.
            mask = split.masks[index]
            rows, columns = np.nonzero(mask == np.bincount(mask[mask > 0]).argmax())
            position = (int(rows.mean()), int(columns.mean()))
            points = analysis.sampling_locations(loaded.model, images[index].numpy(), position)
            title = f"{name}: where one unit looks"
            path = out / f"sampling_{index + 1}.png"
            analysis.plot_sampling(split.pixels[index], points, path, position=position, title=title)
    evaluation.plot_segmentation(split.pixels, split.masks, predictions, source.class_names, out / "predictions.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="names of rows that fit this pattern")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="more flags for kerascnn train; last")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    chosen = {name: flags for name, flags in ROWS.items() if fnmatch.fnmatch(name.lower(), options.only.lower())}
    for seed in seeds:
        for name, flags in chosen.items():
            train(folder_of(options.out, name, seed), flags, seed, options.train)
    results = {
        name: {seed: measured(folder_of(options.out, name, seed)) for seed in range(10)
               if (folder_of(options.out, name, seed) / "evaluation.json").exists()}
        for name in ROWS
    }  # fmt: skip
    results = {name: runs for name, runs in results.items() if runs}
    table(results, options.out)
    curves(results, options.out)
    pictures(results, options.out)


if __name__ == "__main__":
    main()
