"""kerascnn evaluate RUN --corruptions NAMES: errors under common corruptions, as a table, JSON and pictures."""

from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kerascnn import _provenance, _records
from kerascnn.cli import evaluating
from kerascnn.cli.command import Values


def run(values: Values, subject: evaluating.Subject, predictor: Any, console: Console) -> None:
    """Measures a network under corruptions, in place of the usual measures.

    Args:
        values: flags of `kerascnn evaluate`.
        subject: the network's data and names.
        predictor: the network, perhaps with its temperature.
        console: shows table and progress.

    Raises:
        InputError: there is no such corruption, or the network is no classifier.
    """
    import tensorflow as tf

    from kerascnn import data, evaluation
    from kerascnn.applications._classes import imagenet_classes
    from kerascnn.data import corruptions
    from kerascnn.data.preprocessing import fit_image

    split, source = values["split"], subject.source
    channels = min(source.image_shape[2], predictor.input_shape[2])
    names = corruptions.choose(values["corruptions"], channels)
    out = evaluating.folder(values, subject)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        total = source.sizes[split] * (1 + len(names) * len(corruptions.SEVERITIES))
        task = bar.add_task("evaluating", total=total)

        def measure(dataset, name):
            bar.update(task, description=name)
            return evaluation.evaluate(predictor, dataset, advance=lambda count: bar.advance(task, count))

        try:
            found = evaluation.robustness(
                predictor, source, split, corrupted_by=values["corruptions"], batch_size=values["batch_size"],
                seed=values["seed"], measure=measure,
            )  # fmt: skip
        except tf.errors.OpError as error:
            raise data.explain(source, error) from error
    title = _provenance.masked(subject.title)
    record = {"checkpoint": title, "data": subject.data, "split": split, "changes": list(subject.changes)}
    record |= found.to_dict()
    imagenet = predictor.class_names == tuple(name for _, name in imagenet_classes())
    against = found.relative(evaluation.ALEXNET) if imagenet else None
    if against is not None:
        record["relative_to_alexnet"] = against
    _records.write(out / "robustness.json", record)

    where = f"{subject.model} on {subject.data} ({split})"
    table = Table("top-1 error", title=f"{subject.title} on {subject.data} ({split}), {found.examples:,} images")
    for heading in (*(f"severity {level}" for level in found.severities), "mean"):
        table.add_column(heading, justify="right")
    table.add_row("clean", *[""] * len(found.severities), f"{found.clean:.2%}")
    for name, errors in found.errors.items():
        table.add_row(name, *(f"{error:.2%}" for error in errors), f"{found.means[name]:.2%}")
    table.add_row("mean", *[""] * len(found.severities), f"{found.mean:.2%}")
    console.print(table, markup=False)
    if against is not None:
        evaluating.say(console, f"relative to AlexNet: {against:.1%} over the corruptions that ImageNet-C has, too")
    evaluation.plot_robustness(found, out / "robustness.png", where)
    image, _ = next(iter(source.dataset(split)))
    image = fit_image(image, (*predictor.input_shape[:2], channels), predictor.preprocessing).numpy()
    evaluation.plot_corruptions(image, names, out / "corruptions.png", seed=values["seed"], title="the first image")
    files = ", ".join(str(out / name) for name in ("robustness.json", "robustness.png", "corruptions.png"))
    evaluating.say(console, f"written: {files}")
