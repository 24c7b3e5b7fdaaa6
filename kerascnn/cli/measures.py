"""What was measured of networks, as tables for the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

_CLASSES = 10  # shown in the terminal; all are in evaluation.json


def measures(report, title: str, task: str) -> list[Table]:
    """What `evaluation.evaluate` measured, by the task of the network."""
    return {"classification": classification, "segmentation": segmentation}[task](report, title)


def classification(report, title: str) -> list[Table]:
    """What `evaluation.evaluate` measured, and the most frequent mistakes if there are any."""
    table = Table("measure", "value", title=title)
    table.add_row("examples", f"{report.examples:,}")
    table.add_row("top-1", share(report.top1, report.interval))
    if report.top5 is not None:
        table.add_row("top-5", share(report.top5, report.interval5))
    table.add_row("loss", f"{report.loss:.4f}")
    if report.calibration is not None:
        for label, value in calibration(report.calibration).items():
            table.add_row(label, value)
    return [table, *_classes(report), *_mistakes(report, "how often")]


def _classes(report) -> list[Table]:
    """The classes that are found least often, where there are some that are not always found."""
    counts = report.confusion.sum(axis=1)
    order = sorted((k for k in range(len(counts)) if counts[k]), key=lambda k: report.recall[k])[:_CLASSES]
    if not order or report.recall[order[0]] == 1:
        return []
    title = "classes" if len(order) == len(counts) else f"the {len(order)} classes that are found least often"
    table = Table("class", title=title)
    for heading in ("images", "recall", "precision"):
        table.add_column(heading, justify="right")
    for k in order:
        precision = report.precision[k]
        cells = [f"{counts[k]:,}", f"{report.recall[k]:.2%}", "-" if precision != precision else f"{precision:.2%}"]
        table.add_row(Text(report.class_names[k]), *cells)
    return [table]


def accepted(found, file: str) -> Table:
    """An `evaluation.AcceptedReport`.

    Args:
        found: the report.
        file: from which the labels are.

    Returns:
        The table.
    """
    table = Table("measure", "value", title=Text(f"by the labels of {file}"))
    table.add_row("images", f"{found.examples:,}; {found.left_out:,} without labels are left out")
    table.add_row("labels an image", f"{found.labels:.2f}")
    table.add_row("top-1", share(found.top1, found.interval))
    if found.top5 is not None:
        table.add_row("top-5", f"{found.top5:.2%}")
    return table


def share(value: float, interval: tuple[float, float]) -> str:
    """A share with its interval, in percent: "95.12 % (94.68 to 95.53)"."""
    low, high = interval
    return f"{value:.2%} ({100 * low:.2f} to {100 * high:.2f})"


def calibration(found) -> dict[str, str]:
    """The measures of an `evaluation.Calibration` beside the loss, by what people call them."""
    return {
        "calibration error": f"{found.ece:.2%} ({found.ece_mass:.2%} with bins of equal mass)",
        "Brier score": f"{found.brier:.4f}",
    }


def compared(reports: Mapping, title: str) -> Table:
    """Several classification reports beside each other, one a row.

    Args:
        reports: name -> report.
        title: above the table.

    Returns:
        The table; in brackets 95 % intervals.
    """
    with_top5 = all(report.top5 is not None for report in reports.values())
    table = Table("", title=title)
    for heading in ("top-1", *["top-5"] * with_top5, "loss", "calibration error", "Brier score"):
        table.add_column(heading, justify="right")
    for name, report in reports.items():
        found = report.calibration
        top5 = [share(report.top5, report.interval5)] if with_top5 else []
        cells = [
            share(report.top1, report.interval),
            *top5,
            f"{report.loss:.4f}",
            f"{found.ece:.2%}",
            f"{found.brier:.4f}",
        ]
        table.add_row(Text(name), *cells)
    return table


def shares(members: Sequence[str], weights: Mapping[str, Sequence[float]], title: str) -> Table:
    """Which share each member has in which ensemble.

    Args:
        members: names.
        weights: ensemble -> one weight a member.
        title: above the table.

    Returns:
        The table, a member a row.
    """
    table = Table("", title=title)
    for name in weights:
        table.add_column(name, justify="right")
    for index, member in enumerate(members):
        table.add_row(Text(member), *(f"{values[index]:.1%}" if values[index] else "-" for values in weights.values()))
    return table


def segmentation(report, title: str) -> list[Table]:
    """What `evaluation.evaluate_segmentation` measured, class by class, and the most frequent mistakes if any."""
    table = Table("measure", "value", title=title)
    table.add_row("images", f"{report.examples:,}")
    table.add_row("mean IoU", f"{report.mean_iou:.2%}")
    table.add_row("pixel accuracy", f"{report.pixel_accuracy:.2%}")
    table.add_row("loss", f"{report.loss:.4f}")
    classes = Table("class", "IoU", "found", "pixels", title="classes")
    for name, iou, recall, pixels in zip(
        report.class_names, report.iou, report.recall, report.confusion.sum(axis=1), strict=True
    ):
        # A class that is nowhere has no IoU, and one without true pixels no share of them that was found.
        shares = ("-" if value != value else f"{value:.2%}" for value in (iou, recall))
        classes.add_row(Text(name), *shares, f"{pixels:,}")
    return [table, classes, *_mistakes(report, "pixels")]


def _mistakes(report, counted):
    mistakes = report.confused(5)
    if not mistakes:
        return []
    table = Table("true", "predicted", counted, title="most frequent mistakes")
    for true, predicted, number in mistakes:
        names = (Text(report.class_names[index]) for index in (true, predicted))
        table.add_row(*names, f"{number:,}")
    return [table]
