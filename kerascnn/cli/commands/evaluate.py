"""kerascnn evaluate."""

import json

from rich.console import Console
from rich.progress import Progress

from kerascnn._errors import InputError
from kerascnn.cli import networks, options, tables
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn evaluate."""
    networks.check("evaluate", values)
    if values["model"] and not (values["data"] and values["out"]):
        raise InputError("kerascnn evaluate --model needs --data and --out, which a run would tell. Received: none")
    load_tensorflow()
    from kerascnn import data, evaluation
    from kerascnn._files import atomic_write, ensure_folder

    loaded = networks.load(values)
    recorded = loaded.config.get("data", {})
    name = values["data"] or recorded["name"]
    data_dir = values["data_dir"] or (None if values["data"] else recorded.get("data_dir"))
    source = data.load(name, data_dir, limit=values["limit"] or None, task=loaded.task)
    if not networks.same_classes(loaded, source.class_names):
        raise InputError(
            f"The data must have the classes of the checkpoint ({', '.join(loaded.class_names[:3])}, ...; "
            f"{len(loaded.class_names)}). Received: {', '.join(source.class_names[:3])}, ... "
            f"({len(source.class_names)}) in {name}"
        )
    same = not values["data"] and values["limit"] == loaded.config["training"].get("limit", 0)
    changes = source.changes(recorded) if same else []
    for change in changes:
        console.print(f"The data set is no longer that of the run: {change}.", markup=False, soft_wrap=True)
    out = ensure_folder(values["out"] or loaded.path.parent)
    dataset = data.eval_pipeline(
        source, values["split"], image_shape=loaded.input_shape, preprocessing=loaded.preprocessing,
        batch_size=values["batch_size"],
    )  # fmt: skip
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating", total=source.sizes[values["split"]])
        report = evaluation.evaluate(loaded, dataset, advance=lambda count: bar.advance(task, count), keep=24)
    title = networks.title(values, loaded)
    with atomic_write(out / "evaluation.json") as file:
        header = {"checkpoint": title, "data": name, "split": values["split"], "changes": changes}
        record = {**header, **report.to_dict()}  # changes: of the data set since the training
        json.dump(record, file, indent=1)
        file.write("\n")
    model = loaded.config.get("model", {}).get("name", loaded.model.name)
    evaluation.plot_confusion(report, out / "confusion.png", f"{model} on {name} ({values['split']})")

    for table in tables.measures(report, f"{title} on {name} ({values['split']})", loaded.task):
        console.print(table, markup=False)
    pictures = {"confusion.png": "", "predictions.png": "the first images", "mistakes.png": "the worst mistakes"}
    for examples, (file_name, words) in zip((report.first, report.worst), list(pictures.items())[1:], strict=True):
        if examples:
            what = f"{model} on {name} ({values['split']}): {words}"
            evaluation.plot_examples(examples, loaded.class_names, out / file_name, what)
        else:
            pictures.pop(file_name)
            (out / file_name).unlink(missing_ok=True)  # of an evaluation before
    files = ", ".join(str(out / file_name) for file_name in ("evaluation.json", *pictures))
    console.print(f"written: {files}", highlight=False, markup=False, soft_wrap=True)


COMMAND = Command(
    "evaluate",
    "",
    "Measures a trained network: top-1, top-5 or mean IoU, confusion matrix.",
    "kerascnn evaluate --checkpoint runs/digits",
    (
        options.CHECKPOINT,
        *options.NETWORK,
        *options.data_flags("another data set of the same classes; by default that of the run"),
        Flag("split", "which part of the data", default="test", choices=("train", "validation", "test")),
        Flag("batch_size", "images at a time", int, 128, low=1, high=2**20),
        Flag("limit", "use only this many examples; 0: all", int, 0, low=0),
        Flag("out", "folder for evaluation.json and confusion.png; by default that of the run"),
    ),
    run,
)
