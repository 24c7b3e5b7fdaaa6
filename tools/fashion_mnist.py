"""The table of results/fashion_mnist: trains its networks, one after the other, and measures what is finished.

    python tools/fashion_mnist.py train --until 06:30     # or with names; what was interrupted is resumed
    python tools/fashion_mnist.py report

Runs are folders in runs/fashion_mnist. Each network is trained by its own recipe but for what `ROWS` says; the epoch
is chosen on the validation part that `kerascnn train` holds out. `report` measures the test images once for each run
that is finished and not yet in the table, and keeps what it answers about the validation and the test part. Ensembles
are made of these answers, their weights fitted on validation; the runs themselves may be gone by then.
"""

import argparse
import csv
import datetime
import json
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from kerascnn import _records
from kerascnn._files import replace_with

ROOT = Path(__file__).resolve().parents[1]
RUNS, OUT = Path("runs/fashion_mnist"), ROOT / "results" / "fashion_mnist"
# Name of the run -> flags beside --data. Ordered by cost, so that an interrupted table has as many rows as may be.
ROWS = {
    "lenet5_1998": "train --model lenet5_1998 --epochs 20",
    "lenet5": "train --model lenet5 --epochs 20",
    "highway_a": "train --model highway_a --epochs 20 --mixed-precision bfloat16",
    "plain20": "train --model plain20 --epochs 4 --mixed-precision bfloat16",
    "simplenet_310k": "train --model simplenet_310k --epochs 4 --mixed-precision bfloat16",
    "squeezenet1_1": "train --model squeezenet1_1 --image-size 64 --epochs 6",
    "nin_cifar10": "train --model nin_cifar10 --epochs 8 --mixed-precision bfloat16",
    "vit_thin_patch4_32": "train --model vit_thin_patch4_32 --epochs 8",
    "tf_mobilenetv1_025_128": "train --model tf_mobilenetv1_025_128 --image-size 64 --epochs 8",
    "tf_mobilenetv2_035_96": "train --model tf_mobilenetv2_035_96 --image-size 64 --epochs 6",
    "resnext29_8x2d_thin": "train --model resnext29_8x2d_thin --epochs 3",
    "simpnet_300k": "train --model simpnet_300k --epochs 2 --mixed-precision bfloat16",
    "resnet20": "train --model resnet20 --epochs 30",
    "wrn16_4": "train --model wrn16_4 --epochs 20 --mixed-precision bfloat16",
    "wrn16_4-restart": "train --model wrn16_4 --start_from runs/fashion_mnist/wrn16_4 --epochs 12 --schedule cosine "
    "--learning-rate 0.08 --augment 'pad_crop(0.125,reflect)+flip+random_erasing(0.5)' --mixed-precision bfloat16",
    "wrn16_4-third": "train --model wrn16_4 --start_from runs/fashion_mnist/wrn16_4-restart --epochs 36 "
    "--schedule cosine --learning-rate 0.1 --progressive 20,24,28 --progressive_parts 0.3,0.6 --ema 0.998 "
    "--augment 'pad_crop(0.125,reflect)+flip+random_erasing(0.5)' --mixed-precision bfloat16",
    "wrn16_4-twin": "train --model wrn16_4 --start_from runs/fashion_mnist/wrn16_4 --epochs 24 --schedule cosine "
    "--seed 1 --learning-rate 0.1 --progressive 20,24,28 --progressive_parts 0.3,0.6 --ema 0.998 "
    "--augment 'pad_crop(0.125,reflect)+flip+random_erasing(0.5)' --mixed-precision bfloat16",
    "wrn16_4-fresh": "train --model wrn16_4 --epochs 40 --schedule cosine --seed 2 "
    "--learning-rate 0.1 --progressive 20,24,28 --progressive_parts 0.3,0.6 --ema 0.998 "
    "--augment 'pad_crop(0.125,reflect)+flip+random_erasing(0.5)' --mixed-precision bfloat16",
    "darts_v2_thin": "train --model darts_v2_thin --epochs 2",
    "densenet40_k12_bc": "train --model densenet40_k12_bc --epochs 2",
    "efficientnet_lite0": "finetune --model efficientnet_lite0 --weights imagenet --image-size 64 --epochs 2 "
    "--batch-size 64 --learning-rate 0.02",
    "lenet5-seed1": "train --model lenet5 --epochs 20 --seed 1",
    "lenet5-seed2": "train --model lenet5 --epochs 20 --seed 2",
    "plain20-seed1": "train --model plain20 --epochs 4 --mixed-precision bfloat16 --seed 1",
    "plain20-seed2": "train --model plain20 --epochs 4 --mixed-precision bfloat16 --seed 2",
}
ANSWERS = "answers.npz"
KEPT = ("config.json", "history.csv", "curves.png")
HEADING = """# Fashion-MNIST: the networks side by side

Written by `tools/fashion_mnist.py`. The full training set of 60,000 images, a tenth of it held out for validation, by
which the epoch is chosen; the test figure is that of the 10,000 test images, measured once, with its 95 % interval.
Each network has its own recipe and few epochs, as far as a CPU goes: a row is no network's best. "Mirrored" is what the
mean over an image and its mirror image adds. Seconds are the median epoch of a machine that did other work too.
Rows of the tool that have not been trained yet are missing.

| run | paper | parameters | multiply-adds | pixels | epochs | epoch | test top-1, % | mirrored | command |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
ENSEMBLES = (
    "Ensembles of the {} runs whose answers are kept, each with the mirrored image; weights are fitted on the "
    "validation part, and the greedy choices are made on it:"
)


def command(name: str) -> str:
    """The line that trains a row."""
    return f"kerascnn {ROWS[name]} --data fashion_mnist --out runs/fashion_mnist/{name}"


def finished(folder: Path) -> bool:
    """Whether all epochs are done, or the run has stopped early."""
    if not (folder / "history.csv").exists():
        return False
    epochs = json.loads((folder / "config.json").read_text(encoding="utf-8"))["training"]["epochs"]
    return len((folder / "history.csv").read_text(encoding="utf-8").splitlines()) - 1 >= epochs


def train(names: list[str], until: str | None) -> None:
    """Trains what is not finished; a run that the time ends is resumed by the next call."""
    end = None
    if until:
        now = datetime.datetime.now()
        end = now.replace(hour=int(until[:2]), minute=int(until[3:]), second=0)
        end += datetime.timedelta(days=end < now)
    for name in names or ROWS:
        if finished(RUNS / name):
            continue
        left = (end - datetime.datetime.now()).total_seconds() if end else None
        if left is not None and left < 60:
            return
        words = [sys.executable, "-m", *shlex.split(command(name))]
        try:
            subprocess.run(words, check=True, timeout=left)
        except subprocess.TimeoutExpired:
            return


def measure(name: str) -> None:
    """The test part, once, as the network is and with its mirrored image; what the run was, and what it answered."""
    folder = OUT / name
    if (folder / "flip.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copy(RUNS / name / file, folder / file)
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    record.pop("starts", None)  # which machine, and when
    _records.write(folder / "config.json", record)
    out = RUNS / name / "measured"
    subprocess.run([sys.executable, "-m", "kerascnn", "evaluate", RUNS / name, "--out", out], check=True)
    report = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    report["checkpoint"] = f"runs/fashion_mnist/{name}"
    _records.write(folder / "evaluation.json", report)
    shutil.copy(out / "confusion.png", folder / "confusion.png")
    _mirrored(name)


def _mirrored(name: str) -> None:
    """Measures the mean over an image and its mirror image, and keeps the answers about validation and test.

    With them, an ensemble can be made long after the weights are gone: log-probabilities in 16 bits.
    """
    import numpy as np

    from kerascnn import data, evaluation, inference

    predictor = inference.with_views(inference.checkpoint.load(RUNS / name), "flip")
    source, answers = data.load("fashion_mnist"), {}
    for part in ("validation", "test"):
        batches = evaluation.batches(predictor, source, part, batch_size=64)
        report = evaluation.evaluate(predictor, batches, answers=True)
        answers[part] = report.answers.logarithms.astype(np.float16)
    with replace_with(OUT / name / ANSWERS) as temporary:
        np.savez_compressed(temporary, **answers)
    header = {"checkpoint": f"runs/fashion_mnist/{name}", "data": "fashion_mnist", "split": "test", "tta": "flip"}
    _records.write(OUT / name / "flip.json", {**header, **report.to_dict()})


def ensembles(names: list[str]) -> list[str]:
    """A line for each ensemble of the runs whose answers are kept; writes ensemble.json and a picture."""
    import numpy as np

    from kerascnn import data, evaluation
    from kerascnn.data.sampling import labels_of

    source, kept = data.load("fashion_mnist"), {}
    for part in ("validation", "test"):
        labels, kept[part] = labels_of(source.split(part), len(source.class_names), part), []
        for name in names:
            with np.load(OUT / name / ANSWERS) as file:
                logarithms = file[part].astype(np.float32)
            kept[part].append(evaluation.Answers.of(logarithms, labels, source.class_names, logits=True))
    reports = {name: evaluation.report_of(answers) for name, answers in zip(names, kept["test"], strict=True)}
    weights = {
        "mean": None,
        "weighted": evaluation.fit_weights(kept["validation"]),
        "greedy": evaluation.greedy_weights(kept["validation"]),
        "greedy by accuracy": evaluation.greedy_weights(kept["validation"], measure="accuracy"),
    }
    found = {name: evaluation.report_of(evaluation.combine(kept["test"], shares)) for name, shares in weights.items()}
    evaluation.plot_comparison(
        {**reports, **found}, OUT / "ensemble.png", "Fashion-MNIST (test, flip)", strong=len(found)
    )
    shares = {name: None if share is None else share.tolist() for name, share in weights.items()}
    figures = {name: {"top1": report.top1, "loss": report.loss} for name, report in {**reports, **found}.items()}
    _records.write(OUT / "ensemble.json", {"members": names, "weights": shares, "reports": figures})
    return [f"- {name}: {100 * report.top1:.2f} %" for name, report in found.items()]


def row(name: str) -> tuple[float, str]:
    """The test accuracy of a measured run, and its line of the table."""
    import kerascnn
    from kerascnn import analysis

    folder = OUT / name
    files = ("config.json", "evaluation.json", "flip.json")
    config, plain, flipped = (json.loads((folder / file).read_text(encoding="utf-8")) for file in files)
    network, shape = config["model"]["name"], tuple(config["model"]["input_shape"])
    cost = analysis.count(kerascnn.create_model(network, classes=10, input_shape=shape))
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(epoch["seconds"]) for epoch in csv.DictReader(file)]
    top1, (low, high) = 100 * plain["top1"], plain["top1_interval"]
    cells = (
        f"`{name}`", kerascnn.model_info(network).paper, f"{cost.params_trainable:,}", f"{cost.macs / 1e6:.1f}M",
        f"{shape[0]}", f"{len(seconds)}", f"{statistics.median(seconds):.0f} s",
        f"{top1:.2f} ({100 * low:.2f}-{100 * high:.2f})", f"{100 * flipped['top1'] - top1:+.2f}",
        f"`{command(name)}`",
    )  # fmt: skip
    return top1, "| " + " | ".join(cells) + " |"


def seeds(names: list[str]) -> list[str]:
    """A line for each network that was trained from several seeds: the test accuracies, their mean and spread."""
    lines = []
    for name in names:
        group = [other for other in names if other.partition("-seed")[0] == name]
        if len(group) > 1:
            reports = [json.loads((OUT / other / "evaluation.json").read_text(encoding="utf-8")) for other in group]
            found = [100 * report["top1"] for report in reports]
            spread = f"mean {statistics.mean(found):.2f} %, standard deviation {statistics.stdev(found):.2f}"
            lines.append(f"- `{name}`: {', '.join(f'{one:.2f}' for one in found)}; {spread}")
    return lines


def report() -> None:
    """Measures what is finished and not yet in the table, the ensembles of all of it, and writes the README."""
    for name in ROWS:
        if finished(RUNS / name):
            measure(name)
    names = [name for name in ROWS if (OUT / name / "flip.json").exists()]
    rows = sorted((row(name) for name in names), reverse=True)
    lines = [HEADING, *(line for _, line in rows)]
    if group := seeds(names):
        lines += ["", "Three seeds of the same command:", "", *group]
    members = [name for name in names if (OUT / name / ANSWERS).exists()]
    if len(members) > 1:
        lines += ["", ENSEMBLES.format(len(members)), "", *ensembles(members)]
        lines += ["", "![Members and ensembles](ensemble.png)"]
    (OUT / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "report"))
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], help="rows to train; none: all", metavar="ROW")
    parser.add_argument("--until", metavar="HH:MM", help="stop training at that time")
    args = parser.parse_intermixed_args()
    if args.what == "train":
        train(args.names, args.until)
    else:
        report()


if __name__ == "__main__":
    main()
