"""Puts a finished run's network into the package, as weights="DATA": `python tools/ship_weights.py RUN [RUN ...]`.

Of each run folder, best.keras (the epoch that the validation part chose) is rounded to float16 and written to
kerascnn/weights/trained; read back through `create_model`, it is measured on the test part, which has chosen nothing.
Curves, history, configuration and the measurement go to results/trained, the row into rows.json and the catalogue.
The command of a run is made from its config.json.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRAINED = ROOT / "kerascnn" / "weights" / "trained"
LIMIT = 4 * 2**20  # bytes of all files
LICENCES = {"fashion_mnist": "MIT", "digits": "CC-BY-4.0", "shapes": "Apache-2.0"}  # of what they were trained on
HEADING = """# The networks that the package brings

Written by `tools/ship_weights.py`. Each was trained by the command, seed 0, on two CPU cores. A validation part that is
held out of the training images chose the epoch; the figure is that of the test images, top-1 (of `shapes` mean IoU), of
the weights as they are in the package, rounded to float16. Each folder has the run's configuration, history, curves and
the whole evaluation.

| network | weights | test | epochs | file | command |
| --- | --- | --- | --- | --- | --- |
"""
KEPT = ("config.json", "history.csv", "curves.png")


def command(config: dict) -> str:
    """The command line that makes the run: what was asked for, and nothing that follows from it."""
    import kerascnn
    from kerascnn import data, training
    from kerascnn._errors import InputError
    from kerascnn.training import recipes

    settings, name, set_name = config["training"], config["model"]["name"], config["data"]["name"]
    words = ["kerascnn train", f"--model {name}", f"--data {set_name}"]
    shape = tuple(config["model"]["input_shape"])
    info, source = kerascnn.model_info(name), data.load(set_name)
    if training.plan(info, source).shape != shape:
        words.append(f"--image-size {shape[0]}")
    given = {asked: settings[asked] for asked in config["asked"] if asked != "recipe"}

    def makes(recipe):
        """Whether it gives these settings; a run of an older version lacks the fields that came later."""
        try:
            made = training.plan(info, source, recipe=recipe, image_size=shape[0], **given).config.to_dict()
        except InputError:  # one for another task
            return False
        return all(made[name] == value for name, value in settings.items())

    if not makes(None):  # the network's own recipe was another then, or another was asked for
        words.append("--recipe " + next(recipe for recipe in recipes.RECIPES if makes(recipe)))
    for asked, value in given.items():
        words.append(f"--{asked.replace('_', '-')} {json.dumps(value) if isinstance(value, str) else value}")
    return " ".join([*words, f"--out runs/{name}"])


def measure(name: str, weights: Path, config: dict, predictor) -> dict:
    """The report of the test part, by the network as a user builds it."""
    import kerascnn
    from kerascnn import data, evaluation, inference

    shape = tuple(config["model"]["input_shape"])
    model = kerascnn.create_model(name, weights=weights, classes=len(predictor.class_names), input_shape=shape)
    again = inference.Predictor.from_model(model, predictor.class_names, preprocessing=predictor.preprocessing)
    source = data.load(config["data"]["name"])
    if changed := source.changes(config["data"]):
        raise SystemExit(f"{name}: the data set is not that of the run: {changed[0]}")
    test = data.eval_pipeline(
        source, "test", image_shape=shape, preprocessing=predictor.preprocessing, batch_size=250
    )  # fmt: skip
    return evaluation.evaluate(again, test).to_dict()


def ship(run: Path) -> tuple[str, str, dict]:
    """Writes the files of one run; returns its network, tag and row."""
    from kerascnn import inference, weights

    predictor = inference.checkpoint.load(run)
    config = predictor.config
    name, tag = config["model"]["name"], config["data"]["name"].partition(":")[0]
    if config["model"].get("options"):
        raise SystemExit(f"{name}: the network must be the registered one. Received: {config['model']['options']}")
    if len((run / "history.csv").read_text().splitlines()) - 1 < config["training"]["epochs"]:
        raise SystemExit(f"{name}: the run is not finished. Received: {run}")
    TRAINED.mkdir(exist_ok=True)
    file = TRAINED / f"{name}-{tag}.safetensors"
    weights.save_safetensors(predictor.model, file, dtype="float16")
    report = measure(name, file, config, predictor)
    folder = ROOT / "results" / "trained" / f"{name}-{tag}"
    folder.mkdir(parents=True, exist_ok=True)
    for kept in KEPT:
        shutil.copy(run / kept, folder / kept)
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    record.pop("starts", None)  # which machine, and when
    (folder / "config.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    line = command(config)
    (folder / "evaluation.json").write_text(json.dumps({"command": line, **report}, indent=1) + "\n")
    segments = config["task"] == "segmentation"
    numbers = {"miou": "mean_iou"} if segments else {"top1": "top1", "top5": "top5"}
    height, width, channels = config["model"]["input_shape"]
    return name, tag, {
        "location": f"shipped:{file.name}",
        "hash": f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}",
        "bytes": file.stat().st_size,
        "format": ".safetensors",
        "library": "",
        "classes": len(predictor.class_names),
        "input_size": [height, width],
        "channels": channels,
        "class_names": list(predictor.class_names),
        "preprocessing": config["preprocessing"],
        "reported": {**{key: round(100 * report[its], 2) for key, its in numbers.items()}, "size": height},
        "licence": LICENCES[tag],
    }  # fmt: skip


def table(rows: dict) -> str:
    """results/trained/README.md: what was shipped, with commands and measurements."""
    lines = []
    for name, tags in rows.items():
        for tag, row in tags.items():
            folder = ROOT / "results" / "trained" / f"{name}-{tag}"
            line = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["command"]
            epochs = len((folder / "history.csv").read_text(encoding="utf-8").splitlines()) - 1
            score = row["reported"].get("top1", row["reported"].get("miou"))
            size = f"{row['bytes'] / 1000:,.0f} kB"
            lines.append(f"| `{name}` | `{tag}` | {score:.2f} % | {epochs} | {size} | `{line}` |")
    return HEADING + "\n".join(lines) + "\n"


def main() -> None:
    """Ships what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="none: the commands of what is shipped are made anew")
    file = TRAINED / "rows.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for run in parser.parse_args().runs:
        name, tag, row = ship(run)
        rows.setdefault(name, {})[tag] = row
        print(name, tag, row["reported"], f"{row['bytes']:,} bytes", flush=True)
    for file_of in (ROOT / "results" / "trained").glob("*/evaluation.json"):
        line = command(json.loads(file_of.with_name("config.json").read_text(encoding="utf-8")))
        report = json.loads(file_of.read_text(encoding="utf-8"))
        file_of.write_text(json.dumps({**report, "command": line}, indent=1) + "\n", encoding="utf-8")
    total = sum(file.stat().st_size for file in TRAINED.glob("*.safetensors"))
    if total > LIMIT:
        raise SystemExit(f"All files together may have {LIMIT:,} bytes. Received: {total:,}")
    rows = dict(sorted(rows.items()))
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (ROOT / "results" / "trained" / "README.md").write_text(table(rows), encoding="utf-8")
    subprocess.run([sys.executable, ROOT / "tools" / "weights_catalogue.py"], check=True)


if __name__ == "__main__":
    main()
