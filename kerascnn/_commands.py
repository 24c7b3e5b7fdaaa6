"""What each command does: calls one function of its part and prints what comes back. Imports that part lazily."""

import dataclasses
import inspect
import json
import os
import sys
import tempfile
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kerascnn import _tables
from kerascnn._errors import InputError

Values = dict[str, Any]
_CHATTER = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")


def load_tensorflow() -> None:
    """Imports TensorFlow without the lines that it writes to stderr before its log level counts; passes on others."""
    if "tensorflow" in sys.modules or "TF_CPP_MAX_VLOG_LEVEL" in os.environ:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not line.startswith(_CHATTER):
                    os.write(2, line)


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


def run_train(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn train."""
    from kerascnn.training import TrainConfig, recipes

    names = {field.name for field in dataclasses.fields(TrainConfig)}
    overrides = {name: value for name, value in values.items() if name in names and value is not None}
    if "milestones" in overrides:
        try:
            overrides["milestones"] = tuple(float(part) for part in overrides["milestones"])
        except ValueError as error:
            raise InputError(f"milestones must be numbers with commas. Received: {overrides['milestones']}") from error
    recipes.resolve(values["recipe"] or "cifar", values["data"], **overrides)  # refuses bad values before TensorFlow
    initializer = values["initializer"]
    if initializer and values["weights"]:
        given = f"initializer={initializer}, weights={values['weights']}"
        raise InputError(f"Weights are either drawn or read. Received: {given}")
    size = values["image_size"]
    if size is not None and size < 1:
        raise InputError(f"image_size must be at least 1. Received: {size}")

    load_tensorflow()
    import kerascnn
    from kerascnn import data, training, weights
    from kerascnn.training import strategies

    if overrides.get("virtual_devices"):
        strategies.split_cpu(overrides["virtual_devices"])  # before anything runs on it
    info = kerascnn.model_info(values["model"])
    source = data.load(values["data"], values["data_dir"], limit=overrides.get("limit") or None)
    shape = input_shape(info, source.image_shape, size)
    recipe = values["recipe"] or recipes.choose(info.recipe, min(shape[:2]))
    config = recipes.resolve(recipe, values["data"], **overrides)
    if "weight_decay" not in overrides:
        config = published_weight_decay(info, config)
    preprocessing = info.preprocessing.for_channels(shape[2])
    if recipe != info.recipe and preprocessing.fit == "crop" and min(shape[:2]) <= recipes.SMALL_IMAGE:
        # Resizing a small image by 8/7 before cropping only blurs it.
        preprocessing = dataclasses.replace(preprocessing, fit="pad", crop_fraction=1.0)
    flags = ("auxiliary_heads", "drop_path_rate", "weights")
    options = {name: values[name] for name in flags if values[name] is not None}
    known = inspect.signature(getattr(kerascnn.applications, info.builder)).parameters
    for name in options:
        if name not in known:
            raise InputError(f"{info.name} must have the option to be trained with it. Received: {name}")

    table = Table(show_header=False, title=f"{info.name} on {values['data']} in {values['out']}")
    table.add_row("network", f"{info.name} ({info.paper})")
    table.add_row("input", _tables.shape(shape))
    table.add_row("data", f"{source.sizes['train']:,} training, {source.sizes['test']:,} test images, "
                  f"{len(source.class_names)} classes")  # fmt: skip
    table.add_row("recipe", recipe)
    for name, value in {**options, "initializer": initializer or "the paper's", **config.to_dict()}.items():
        table.add_row(name, str(value))
    console.print(table, markup=False)

    classes = len(source.class_names)
    record = {"name": info.name, "options": options, "classes": classes, "input_shape": list(shape)}
    if initializer:
        record["initializer"] = initializer

    def build():
        model = kerascnn.create_model(
            info.name, classes=classes, input_shape=shape, classifier_activation=None, **options
        )
        if initializer:
            weights.initialize(model, initializer)
        return model

    result = training.train(
        build,
        source,
        config,
        values["out"],
        model_record=record,
        preprocessing=preprocessing,
        data_record={"name": values["data"], "data_dir": values["data_dir"]},
        console=console,
    )
    best = result.rows[result.best]
    if result.first_epoch == len(result.rows):
        console.print(f"The run in {result.folder} is finished already; raise --epochs to go on.", highlight=False)
    console.print(
        f"best: epoch {int(best['epoch'])} of {len(result.rows)}, validation accuracy {best['val_accuracy']:.2%}; "
        f"last: {result.rows[-1]['val_accuracy']:.2%}. See {result.folder}/curves.png, history.csv, best.keras",
        highlight=False,
        soft_wrap=True,
    )


def published_weight_decay(info, config):
    """The configuration with the weight decay that the network was published with.

    Args:
        info: `model_info` of the network.
        config: a `TrainConfig`.

    Returns:
        The `TrainConfig` with the network's L2 coefficient c as the decoupled c / (1 - momentum); unchanged where none
        was published, and for other optimizers than SGD, where it would mean something else.
    """
    if info.weight_decay is None or config.optimizer != "sgd":
        return config
    return dataclasses.replace(config, weight_decay=info.weight_decay / (1 - config.momentum))


def input_shape(info, data_shape, size: int | None = None) -> tuple[int, int, int]:
    """Input of a network for a data set.

    Args:
        info: `model_info` of the network.
        data_shape: (height, width, channels) of the data's images; height and width None when they differ.
        size: wanted height and width, or None for the rule.

    Returns:
        Height, width, channels: the channels of the data; `size`, else the data's own size where the network is one
        for small images and takes that size, else the network's default.

    Raises:
        InputError: the network does not take that size.
    """
    height, width, channels = data_shape
    if size is not None:
        if size < info.min_size:
            raise InputError(f"{info.name} takes images of {info.min_size} pixels or more. Received: image_size={size}")
        return size, size, channels
    small = max(info.input_shape[:2]) <= 64
    if small and height is not None and width is not None and info.min_size <= min(height, width) <= 64:
        return height, width, channels
    return (*info.input_shape[:2], channels)


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
    source = data.load(name, data_dir, limit=values["limit"] or None)
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
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating", total=source.sizes[values["split"]])
        report = evaluation.evaluate(
            loaded.model, dataset, loaded.class_names, advance=lambda count: bar.advance(task, count)
        )
    with atomic_write(out / "evaluation.json") as file:
        record = {"checkpoint": str(loaded.path), "data": name, "split": values["split"], **report.to_dict()}
        json.dump(record, file, indent=1)
        file.write("\n")
    model = loaded.config["model"].get("name", loaded.model.name)
    evaluation.plot_confusion(report, out / "confusion.png", f"{model} on {name} ({values['split']})")

    table = Table("measure", "value", title=f"{loaded.path} on {name} ({values['split']})")
    table.add_row("examples", f"{report.examples:,}")
    table.add_row("top-1", f"{report.top1:.2%}")
    if report.top5 is not None:
        table.add_row("top-5", f"{report.top5:.2%}")
    table.add_row("loss", f"{report.loss:.4f}")
    console.print(table, markup=False)
    mistakes = report.confused(5)
    if mistakes:
        table = Table("true", "predicted", "how often", title="most frequent mistakes")
        for true, predicted, count in mistakes:
            table.add_row(report.class_names[true], report.class_names[predicted], str(count))
        console.print(table, markup=False)
    console.print(f"written: {out / 'evaluation.json'}, {out / 'confusion.png'}", highlight=False, soft_wrap=True)


def run_predict(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn predict."""
    if (values["checkpoint"] is None) == (values["saved_model"] is None):
        raise InputError("kerascnn predict needs either --checkpoint or --saved_model. Received: both or neither")
    load_tensorflow()
    from kerascnn.evaluation.predict import predict, to_json, to_table

    if values["saved_model"]:
        described: Values = {"saved_model": values["saved_model"]}
    else:
        loaded = _load_checkpoint(values["checkpoint"])
        described = {
            "checkpoint_model": loaded.model,
            "class_names": loaded.class_names,
            "preprocessing": loaded.preprocessing,
            "input_shape": loaded.input_shape,
        }
    predictions = predict(arguments, top=values["top"], **described)
    if values["json"]:
        console.print(to_json(predictions), highlight=False, markup=False, soft_wrap=True)
    else:
        console.print(to_table(predictions))


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
    from kerascnn.training import checkpoint

    return checkpoint.load(path)


RUN = {
    "list": run_list,
    "info": run_info,
    "train": run_train,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "export": run_export,
    "benchmark": run_benchmark,
}
