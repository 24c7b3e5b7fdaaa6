"""What each command does: calls one function of its part and prints what comes back. Imports that part lazily."""

import json
import os
from typing import Any

from rich.console import Console
from rich.progress import Progress

from kerascnn import _tables, _training_commands
from kerascnn._errors import InputError
from kerascnn._load_tensorflow import load_tensorflow

Values = dict[str, Any]


def run_list(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn list."""
    load_tensorflow()
    import kerascnn

    pattern = arguments[0] if arguments else "*"
    names = kerascnn.list_models(pattern, family=values["family"])
    if not names:
        raise InputError(f"No network fits. Received: pattern {pattern!r}, family {values['family']}")
    if not (values["table"] or values["wide"]):
        console.print("\n".join(names), highlight=False, markup=False, soft_wrap=True)
        return
    infos = [kerascnn.model_info(name) for name in names]
    # The wide table keeps a line a network, whatever the terminal's width is.
    console.print(_tables.networks(infos, values["wide"]), width=220 if values["wide"] else None, crop=False)


def run_info(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn info."""
    if values["out"] and not values["out"].lower().endswith(".png"):
        raise InputError(f"out must be a file that ends in .png. Received: {values['out']}")
    load_tensorflow()
    import kerascnn

    info = kerascnn.model_info(arguments[0])
    if values["out"]:
        from kerascnn._files import ensure_folder

        ensure_folder(os.path.dirname(values["out"]) or ".")
    console.print(_tables.facts(info))
    genotype = getattr(info.spec, "genotype", None)
    if genotype is not None:
        _show_cells(genotype, values["out"], console)
    if not (values["out"] or values["layers"]):
        return
    import keras

    from kerascnn import analysis

    with keras.StatelessScope(initialize_variables=False):  # weights have shapes, but no values: fast and small
        model = kerascnn.create_model(info.name)
        backbone = kerascnn.create_model(info.name, features_only=True)
    if values["layers"]:
        console.print(analysis.table(analysis.count(model, info.input_shape), f"{info.name}, layer by layer"))
    if values["out"]:
        analysis.plot_stages(
            analysis.stages(model, backbone, info.input_shape),
            values["out"],
            input_shape=info.input_shape,
            title=info.name,
            subtitle=_tables.summary(info),
        )
        console.print(f"written: {values['out']}", highlight=False, markup=False, soft_wrap=True)


def _show_cells(genotype, out: str | None, console: Console) -> None:
    """The two cells of a searched network, as trees and, beside the picture of the stages, as a PNG."""
    from kerascnn import cells

    console.print(f"cells of {genotype.name}: c1 is the output of the cell before, c2 that of the one before it",
                  highlight=False, soft_wrap=True)  # fmt: skip
    console.print(cells.text_graph(genotype))
    if not out:
        console.print("--out FILE.png draws them", highlight=False)
        return
    path = f"{os.path.splitext(out)[0]}_cells{os.path.splitext(out)[1]}"
    cells.plot_genotype(genotype, path)
    console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)


def run_evaluate(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn evaluate."""
    if values["batch_size"] < 1 or values["limit"] < 0:
        raise InputError(
            "batch_size must be at least 1 and limit not negative. "
            f"Received: {values['batch_size']} and {values['limit']}"
        )
    load_tensorflow()
    from kerascnn import data, evaluation
    from kerascnn._files import atomic_write, ensure_folder

    loaded = _load_checkpoint(values["checkpoint"])
    recorded = loaded.config["data"]
    name = values["data"] or recorded["name"]
    data_dir = values["data_dir"] or (None if values["data"] else recorded.get("data_dir"))
    source = data.load(name, data_dir, limit=values["limit"] or None, task=loaded.task)
    if tuple(source.class_names) != loaded.class_names:
        raise InputError(
            f"The data must have the classes of the checkpoint ({', '.join(loaded.class_names[:3])}, ...; "
            f"{len(loaded.class_names)}). Received: {', '.join(source.class_names[:3])}, ... "
            f"({len(source.class_names)}) in {name}"
        )
    out = ensure_folder(values["out"] or loaded.path.parent)
    dataset = data.eval_pipeline(
        source, values["split"], image_shape=loaded.input_shape, preprocessing=loaded.preprocessing,
        batch_size=values["batch_size"],
    )  # fmt: skip
    segmentation = loaded.task == "segmentation"
    measure = evaluation.evaluate_segmentation if segmentation else evaluation.evaluate
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating", total=source.sizes[values["split"]])
        report = measure(loaded.model, dataset, loaded.class_names, advance=lambda count: bar.advance(task, count))
    with atomic_write(out / "evaluation.json") as file:
        record = {"checkpoint": str(loaded.path), "data": name, "split": values["split"], **report.to_dict()}
        json.dump(record, file, indent=1)
        file.write("\n")
    model = loaded.config["model"].get("name", loaded.model.name)
    evaluation.plot_confusion(report, out / "confusion.png", f"{model} on {name} ({values['split']})")

    title = f"{loaded.path} on {name} ({values['split']})"
    for table in (_tables.segmentation if segmentation else _tables.classification)(report, title):
        console.print(table, markup=False)
    console.print(f"written: {out / 'evaluation.json'}, {out / 'confusion.png'}", highlight=False, soft_wrap=True)


def run_predict(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn predict."""
    if (values["checkpoint"] is None) == (values["saved_model"] is None):
        raise InputError("kerascnn predict needs either --checkpoint or --saved_model. Received: both or neither")
    load_tensorflow()
    if values["saved_model"]:
        from kerascnn.inference import saved_model as saved_models

        task = saved_models.task_of(values["saved_model"])
        described: Values = {"saved_model": values["saved_model"]}
    else:
        loaded = _load_checkpoint(values["checkpoint"])
        task = loaded.task
        described = {
            "checkpoint_model": loaded.model,
            "class_names": loaded.class_names,
            "preprocessing": loaded.preprocessing,
            "input_shape": loaded.input_shape,
        }
    if (task == "segmentation") != (values["out"] is not None):
        rule = "--out is the folder for the masks of a network for segmentation, and only of one"
        raise InputError(f"{rule}. Received: out={values['out']} for {task}")
    if task == "segmentation":
        from kerascnn.inference.predict_masks import masks_to_json, masks_to_table, predict_masks

        found = predict_masks(arguments, values["out"], **described)
        shown = masks_to_json(found) if values["json"] else masks_to_table(found)
    else:
        from kerascnn.inference.predict import predict, to_json, to_table

        predictions = predict(arguments, top=values["top"], **described)
        shown = to_json(predictions) if values["json"] else to_table(predictions)
    if values["json"]:
        console.print(shown, highlight=False, markup=False, soft_wrap=True)
        return
    console.print(shown)
    if task == "segmentation":
        written = f"written: *_mask.png and *_overlay.png in {values['out']}"
        console.print(written, highlight=False, markup=False, soft_wrap=True)


def run_export(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn export."""
    load_tensorflow()
    from kerascnn import serving

    loaded = _load_checkpoint(values["checkpoint"])
    version = serving.export(
        loaded.model,
        values["out"],
        class_names=loaded.class_names,
        preprocessing=loaded.preprocessing,
        input_shape=loaded.input_shape,
        native=values["native"],
    )
    console.print(f"exported and checked: {version}", highlight=False, markup=False, soft_wrap=True)


def run_benchmark(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn benchmark."""
    if arguments != ["ops"]:
        raise InputError(f"What can be benchmarked is ops. Received: {arguments[0]}")
    from kerascnn.benchmark import cases

    chosen = cases.choose(values["shapes"], values["only"])  # refuses bad values before TensorFlow
    load_tensorflow()
    import kerascnn
    from kerascnn.benchmark import session

    session.benchmark_ops(
        chosen,
        dtype=values["dtype"],
        threads=values["threads"],
        repeat=values["repeat"],
        peers_python=values["peers_python"],
        out=values["out"],
        quick=values["shapes"] == "tiny",
        version=kerascnn.__version__,
        console=console,
    )


def _load_checkpoint(path: str):
    from kerascnn.inference import checkpoint

    return checkpoint.load(path)


RUN = {
    "list": run_list,
    "info": run_info,
    "train": _training_commands.run_train,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "export": run_export,
    "search": _training_commands.run_search,
    "benchmark": run_benchmark,
}
