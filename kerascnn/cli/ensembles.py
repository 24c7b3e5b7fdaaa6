"""kerascnn evaluate RUN RUN...: the members, the ensembles that they make, and the mean of their weights."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from kerascnn import _provenance, _records
from kerascnn._errors import InputError
from kerascnn.cli import evaluating, measures
from kerascnn.cli.command import Values

_FITTED_ON = "validation"


def run(values: Values, runs: list[str], console: Console) -> None:
    """Measures each run and what they make together.

    Args:
        values: flags of `kerascnn evaluate`.
        runs: run folders or checkpoints, two at least.
        console: shows the table.

    Raises:
        InputError: the runs are not of the same classes and data, or are not classifiers.
    """
    from kerascnn import evaluation, inference
    from kerascnn._files import ensure_folder

    out = None if values["out"] is None else ensure_folder(values["out"])
    subjects = _load(values, runs, console)
    split, first = values["split"], subjects[0]
    predictors = [evaluating.changed(values, subject, console if subject is first else None) for subject in subjects]
    reports: dict[str, Any] = {}
    answers = {split: [], _FITTED_ON: []}
    for name, subject, predictor in zip(runs, subjects, predictors, strict=True):
        for part in answers:
            report = evaluating.measure(subject, predictor, part, values, console, answers=True)
            answers[part].append(report.answers)
            if part == split:
                reports[name] = report
    weights = {"mean": None}
    if split == _FITTED_ON:
        evaluating.say(console, "No weights are fitted: the validation part is what is measured.")
    else:
        weights["weighted"] = evaluation.fit_weights(answers[_FITTED_ON])
        weights["greedy"] = evaluation.greedy_weights(answers[_FITTED_ON])
    for name, values_of in weights.items():
        reports[f"ensemble: {name}"] = evaluation.report_of(evaluation.combine(answers[split], values_of))
    made = len(weights)
    soups = _soups(values, subjects, out, console) if values["soup"] else {}
    for name, (network, _) in soups.items():
        seen = network if values["tta"] is None else inference.with_views(network, values["tta"])
        reports[f"one network: {name}"] = evaluating.measure(first, seen, split, values, console)
        made += 1

    where = f"{first.data} ({split}{'' if values['tta'] is None else ', ' + values['tta']})"
    console.print(measures.compared(reports, where), markup=False)
    shares = {name: [1 / len(runs)] * len(runs) if found is None else found.tolist() for name, found in weights.items()}
    console.print(measures.shares(runs, shares, f"weights, fitted on {_FITTED_ON}"), markup=False)
    if out is None:
        evaluating.say(console, "--out FOLDER writes this as JSON and as a picture.")
        return
    record = {
        "data": first.data,
        "split": split,
        "tta": values["tta"],
        "calibrated": values["calibrated"],
        "members": runs,
        "changes": list(first.changes),
        "weights": shares,
        "soups": {name: [runs[i] for i in members] for name, (_, members) in soups.items()},
        "reports": {name: report.to_dict() for name, report in reports.items()},
    }
    _records.write(out / "ensemble.json", record)
    evaluation.plot_comparison(reports, out / "ensemble.png", where, strong=made)
    evaluating.say(console, f"written: {out / 'ensemble.json'}, {out / 'ensemble.png'}")


def _load(values, runs, console) -> list[evaluating.Subject]:
    """All networks on the data of the first; refuses what cannot be put together."""
    if len(set(map(os.path.realpath, runs))) < len(runs):
        raise InputError(f"Each run must be given once. Received: {', '.join(runs)}")
    subjects = []
    for name in runs:
        source = subjects[0].source if subjects else None
        subjects.append(evaluating.load(values, name, console, source))
    first = subjects[0]
    for name, subject in zip(runs, subjects, strict=True):
        if subject.predictor.task != "classification":
            raise InputError(f"Ensembles are of classifiers. Received: {name}, for {subject.predictor.task}")
        if subject.predictor.class_names != first.predictor.class_names:
            raise InputError(f"Members of an ensemble must have the same classes. Received: {runs[0]} and {name}")
        ours, theirs = (x.predictor.config.get("data", {}) for x in (first, subject))
        prints = [x.get("fingerprint") for x in (ours, theirs)]
        same = prints[0] == prints[1] if all(prints) else ours.get("name") == theirs.get("name")
        if not same and not values["data"]:
            raise InputError(
                "Members of an ensemble must be trained and validated on the same images; --data NAME measures them on "
                f"a set of one's choice nevertheless. Received: {runs[0]} on {ours.get('name')} and {name} on "
                f"{theirs.get('name')}"
            )
    return subjects


def _soups(values, subjects, out, console) -> dict[str, tuple[Any, list[int]]]:
    """The mean of all, and the greedy one; written as runs where there is a folder for them."""
    from kerascnn import evaluation
    from kerascnn._files import ensure_folder, replace_with

    predictors, source = [subject.predictor for subject in subjects], subjects[0].source
    found = {
        "soup of all": (evaluation.soup(predictors, source), list(range(len(predictors)))),
        "greedy soup": evaluation.greedy_soup(predictors, source, tell=lambda text: evaluating.say(console, text)),
    }
    chosen = found["greedy soup"][1]
    if len(chosen) == 1:
        evaluating.say(console, f"No mean is better on validation than {subjects[chosen[0]].title} alone.")
    evaluating.say(console, "Batch statistics of the soups were estimated on training images without augmentation.")
    if values["calibrated"]:
        evaluating.say(console, "The soups are measured without a temperature: none was fitted for their weights.")
    for name, (network, members) in found.items() if out is not None else ():
        folder = ensure_folder(Path(out) / name.replace(" ", "_"))
        with replace_with(folder / "best.keras") as temporary:
            network.model.save(temporary)
        paths = [_provenance.masked(str(subjects[i].predictor.path)) for i in members]
        _records.write(folder / "config.json", {**subjects[0].predictor.config, "soup": paths})
        evaluating.say(console, f"written as a run: {folder}")
    return found
