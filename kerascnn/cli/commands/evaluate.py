"""kerascnn evaluate."""

from rich.console import Console

from kerascnn import _provenance, _records
from kerascnn._errors import InputError
from kerascnn.cli import corrupting, ensembles, evaluating, measures, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn evaluate."""
    runs = [] if values["saved_model"] is not None else evaluating.named(values, arguments)
    if values["saved_model"] is not None:
        _check_exported(values, arguments)
    if values["calibrate"] and values["calibrated"]:
        raise InputError("calibrate fits a temperature and shows what it does; give one. Received: both")
    if values["calibrate"] and values["tta"] is not None:
        raise InputError("calibrate is for one view; afterwards --calibrated and --tta go together. Received: both")
    if values["calibrated"] and not runs:
        raise InputError("calibrated is for runs, beside which a temperature is kept. Received: --model")
    if values["corruptions"] is not None:
        others = [name for name in ("tta", "calibrate", "soup", "accepted") if values[name]]
        if others or len(runs) > 1:
            received = others[0] if others else f"{len(runs)} runs"
            raise InputError(f"corruptions is for one run, and for one view of an image. Received: {received}, too")
    if values["calibrate"] and len(runs) > 1:
        raise InputError(f"calibrate is for one run. Received: {len(runs)} runs")
    if values["accepted"] is not None and len(runs) > 1:
        raise InputError(f"accepted is for one run. Received: {len(runs)} runs")
    if values["soup"] and len(runs) < 2:
        raise InputError("soup is for two runs or more. Received: one")
    load_tensorflow()
    if len(runs) > 1:
        return ensembles.run(values, runs, console)
    return _one(values, runs[0] if runs else None, console)


def _one(values: Values, checkpoint: str | None, console: Console) -> None:
    """One network: its measures and pictures."""
    from kerascnn import evaluation

    subject = evaluating.load(values, checkpoint, console) if values["saved_model"] is None else _exported(values)
    predictor = evaluating.changed(values, subject, console)
    if values["corruptions"] is not None:
        return corrupting.run(values, subject, predictor, console)
    if values["calibrate"] and predictor.task != "classification":
        raise InputError(f"calibrate is for classification. Received: a network for {predictor.task}")
    out = evaluating.folder(values, subject)
    accepted = _accepted(values, subject)
    keeping = values["calibrate"] or accepted is not None
    report = evaluating.measure(subject, predictor, values["split"], values, console, keep=24, answers=keeping)
    where = f"{subject.data} ({values['split']})"
    if values["tta"] is not None:
        where += f", {values['tta']}"
    what = f"{subject.model} on {where}"
    for table in measures.measures(report, f"{subject.title} on {where}", predictor.task):
        console.print(table, markup=False)
    title = _provenance.masked(subject.title)
    header = {"checkpoint": title, "data": subject.data, "split": values["split"], "changes": subject.changes}
    if values["calibrated"]:
        header["calibrated"] = True
    if values["tta"] is not None:
        header |= {"tta": values["tta"], "views": predictor.views.count}
    record = {**header, **report.to_dict()}  # changes: of the data set since the training
    if accepted is not None:
        by_accepted = evaluation.accepted_report(report.answers, accepted)
        console.print(measures.accepted(by_accepted, values["accepted"]), markup=False)
        record["accepted"] = {"file": _provenance.masked(values["accepted"]), **by_accepted.to_dict()}
    written = ["evaluation.json", "confusion.png"]
    evaluation.plot_confusion(report, out / "confusion.png", what)
    if predictor.task == "classification":
        shown = {"": report.calibration}
        if values["calibrate"]:
            temperature, scaled = _calibrate(values, subject, report, console)
            shown = {"as trained": report.calibration, f"temperature {temperature:.3f}": scaled.calibration}
            record["with_temperature"] = {"temperature": temperature, **scaled.to_dict()}
        evaluation.plot_reliability(shown, out / "reliability.png", what)
        evaluation.plot_classes(report, out / "classes.png", what)
        written += ["reliability.png", "classes.png"]
    for name, words, examples in (
        ("predictions.png", "the first images", report.first),
        ("mistakes.png", "the worst mistakes", report.worst),
    ):
        if examples:
            evaluation.plot_examples(examples, predictor.class_names, out / name, f"{what}: {words}")
            written.append(name)
        else:
            (out / name).unlink(missing_ok=True)  # of an evaluation before
    _records.write(out / "evaluation.json", record)
    evaluating.say(console, f"written: {', '.join(str(out / name) for name in written)}")


def _check_exported(values: Values, arguments: list[str]) -> None:
    """Refuses what does not go with --saved_model; cheap, before TensorFlow is loaded."""
    others = [f"--{name}" for name in ("checkpoint", "model", "weights", "image_size") if values[name] is not None]
    if arguments or others:
        received = arguments[0] if arguments else others[0]
        raise InputError(f"--saved_model is the one network that is measured. Received: {received}, too")
    if not (values["data"] and values["out"]):
        raise InputError(
            "kerascnn evaluate --saved_model needs --data and --out, which a run would tell. Received: none"
        )
    for name in ("calibrate", "calibrated", "soup"):
        if values[name]:
            raise InputError(f"{name} is for runs. Received: --saved_model")


def _exported(values: Values) -> evaluating.Subject:
    """An export, in its own runtime, and the data."""
    from kerascnn import data
    from kerascnn.cli import networks
    from kerascnn.serving import formats

    predictor = formats.load(values["saved_model"])
    source = data.load(values["data"], values["data_dir"], limit=values["limit"] or None, task=predictor.task)
    if not networks.same_classes(predictor, source.class_names):
        raise InputError(
            f"The data must have the classes of the export ({', '.join(predictor.class_names[:3])}, ...; "
            f"{len(predictor.class_names)}). Received: {', '.join(source.class_names[:3])}, ... "
            f"({len(source.class_names)}) in {values['data']}"
        )
    title = str(predictor.path)
    return evaluating.Subject(predictor, source, values["data"], title, predictor.path.parent.name, ())


def _accepted(values: Values, subject: evaluating.Subject) -> list[tuple[int, ...]] | None:
    """The labels that are accepted for each image, where there is a file of them."""
    from kerascnn import evaluation

    if values["accepted"] is None:
        return None
    if subject.predictor.task != "classification":
        raise InputError(f"accepted is for classification. Received: a network for {subject.predictor.task}")
    names = subject.source.split(values["split"]).names
    return evaluation.read_accepted(values["accepted"], names, subject.source.class_names)


def _calibrate(values: Values, subject: evaluating.Subject, report, console: Console):
    """Fits a temperature on the validation part and keeps it; returns it with the report that it leads to."""
    from kerascnn import evaluation
    from kerascnn.inference import temperature as temperatures

    part = "validation"
    fitted = report if values["split"] == part else evaluating.measure(
        subject, subject.predictor, part, values, console, answers=True
    )  # fmt: skip
    temperature = evaluation.fit_temperature(fitted.answers)
    scaled = evaluation.report_of(report.answers.with_temperature(temperature))
    rows = {"as trained": report, f"temperature {temperature:.3f}": scaled}
    console.print(measures.compared(rows, f"fitted on {part} ({len(fitted.answers):,} images)"), markup=False)
    if fitted is report:
        evaluating.say(console, "The temperature was fitted on the images that it is measured on.")
    if temperature in (evaluation.COLDEST, evaluation.HOTTEST):
        evaluating.say(console, f"The temperature is at its limit: the loss falls up to {temperature:g} and beyond.")
    if subject.predictor.path is None:
        evaluating.say(console, "The temperature is not kept: that is done beside the checkpoint of a run.")
    else:
        on = {"data": subject.data, "split": part, "examples": len(fitted.answers)}
        path = temperatures.keep(subject.predictor, temperature, on)
        evaluating.say(console, f"kept for --calibrated: {path}")
    return temperature, scaled


COMMAND = Command(
    "evaluate",
    "RUN...",
    "Measures a trained network: top-1, top-5 or mean IoU, calibration, confusion matrix; of several runs ensembles.",
    "kerascnn evaluate runs/digits",
    (
        options.CHECKPOINT,
        Flag("saved_model", "or: a folder that kerascnn export wrote, in any format; with --data and --out"),
        *options.NETWORK,
        *options.data_flags("another data set of the same classes; by default that of the run", "data"),
        Flag("split", "which part of the data", default="test", choices=("train", "validation", "test"), group="data"),
        Flag("batch_size", "images at a time", int, 128, low=1, high=2**20, group="data"),
        Flag("limit", "use only this many examples of each part; 0: all", int, 0, low=0, group="data"),
        Flag(
            "calibrate",
            "fit a temperature on the validation part, keep it beside the run, and show what it does",
            bool, False, group="measures",
        ),
        Flag(
            "tta",
            "test-time augmentation, the mean over several views of each image: flip, five_crop, ten_crop, grid(3), "
            "googlenet, multi_scale(1, 1.15), shift(1); grid(3)+flip mirrors too",
            group="measures", placeholder="VIEWS",
        ),
        Flag("calibrated", "measure with the temperature that is kept beside the run", bool, False, group="measures"),
        Flag(
            "accepted",
            "labels of which any is right for an image, as ImageNet-ReaL's: a .json or .csv file, see "
            "docs/evaluation.md", group="measures", placeholder="FILE",
        ),
        Flag(
            "corruptions",
            "top-1 errors under common corruptions in five severities, in place of the usual measures: all, or names "
            "such as gaussian_noise,contrast,jpeg",
            group="measures", placeholder="NAMES",
        ),
        Flag("seed", "of what is random in corruptions", int, 0, low=0, high=2**31 - 1, group="measures"),
        Flag(
            "soup", "of several runs of one architecture: networks with the mean of their weights, too", bool, False,
            group="several runs",
        ),
        Flag(
            "out", "folder for evaluation.json and the pictures; by default that of the run, of several runs none",
            group="output", placeholder="FOLDER",
        ),
    ),
    run,
    positional=(0, None),
    note="More examples: docs/evaluation.md.",
)  # fmt: skip
