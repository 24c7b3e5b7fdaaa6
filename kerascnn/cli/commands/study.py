"""kerascnn study."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.cli import evaluating, networks, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow

_GIVEN = ("model", "images", "labels")  # arguments that other flags than --set stand for
_DATA = ("checkpoint", "image_size", "data", "data_dir", "split", "samples")  # flags of studies of trained networks


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn study."""
    load_tensorflow()
    from kerascnn import studies

    if not arguments:
        table = Table("study", "what it shows", "options (--set)")
        for name, study in studies.STUDIES.items():
            table.add_row(name, inspect.getdoc(study).partition("\n")[0], ", ".join(_options(study)))
        console.print(table, markup=False)
        return
    name = _check.one_of("NAME", arguments[0], studies.STUDIES)
    study = studies.STUDIES[name]
    given = _settings(name, study, values["set"])
    if values["out"] is None:
        raise InputError(f"kerascnn study {name} needs --out FOLDER. Received: none")
    found = study(*_subject(name, study, values, console), **given)
    found.save(values["out"])
    table = Table("what the source says", "here")
    for claim, holds in found.claims.items():
        table.add_row(Text(claim), "yes" if holds else "no")
    console.print(table)
    written = f"written: study.json, arrays.npz and picture.png in {values['out']} ({found.seconds:.1f} s)"
    console.print(written, highlight=False, markup=False, soft_wrap=True)


def _subject(name: str, study: Callable, values: Values, console: Console) -> tuple:
    """What a study is about: nothing, a network, images and labels, or a trained network with both."""
    known = inspect.signature(study).parameters
    if "model" in known and "labels" in known:
        networks.check(f"study {name}", values)
        if values["data"] is None and values["checkpoint"] is None:
            raise InputError(f"kerascnn study {name} --model needs --data, which a run would tell. Received: none")
        return _trained(values, console)
    if "labels" in known:
        return _examples(name, values)
    for flag in _DATA:
        if values[flag] is not None:
            raise InputError(f"{name} is no study of data. Received: --{flag} {values[flag]}")
    if "model" in known:
        if values["model"] is None:
            raise InputError(f"kerascnn study {name} needs --model NAME. Received: none")
        import kerascnn

        return (kerascnn.create_model(values["model"], weights=values["weights"]),)
    if values["model"] is not None or values["weights"] is not None:
        raise InputError(f"{name} has no network of its own. Received: --model {values['model']}")
    return ()


def _trained(values: Values, console: Console) -> tuple:
    """A network, and the first examples of a part of its data as it takes them."""
    import numpy as np

    from kerascnn import evaluation

    count = 2000 if values["samples"] is None else values["samples"]
    subject = evaluating.load({**values, "limit": count}, values["checkpoint"], console)
    split = "train" if values["split"] is None else values["split"]
    batches = list(evaluation.batches(subject.predictor, subject.source, split))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return subject.predictor.model, images, labels


def _examples(name: str, values: Values) -> tuple:
    """The first images of a part of a data set, and their labels, for a study that trains its own networks."""
    import numpy as np
    import tensorflow as tf

    from kerascnn import data

    for flag in ("model", "weights", "checkpoint"):
        if values[flag] is not None:
            raise InputError(f"{name} trains networks of its own. Received: --{flag} {values[flag]}")
    if values["data"] is None:
        raise InputError(f"kerascnn study {name} needs --data. Received: none")
    count = 2000 if values["samples"] is None else values["samples"]
    source = data.load(values["data"], values["data_dir"], limit=count)
    dataset, size = source.dataset("train" if values["split"] is None else values["split"]), values["image_size"]
    if size is not None:
        dataset = dataset.map(lambda image, label: (tf.image.resize(image, (size, size), antialias=True), label))
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        rule = f"kerascnn study {name} needs --image-size where images differ in size"
        raise InputError(f"{rule}. Received: {' and '.join(map(str, sorted(shapes)[:2]))} in {values['data']}")
    return np.stack(images), np.array(labels)


def _options(study: Callable) -> dict[str, Any]:
    """The options of a study, and their defaults."""
    known = inspect.signature(study).parameters
    return {name: parameter.default for name, parameter in known.items() if name not in _GIVEN}


def _settings(study: str, function: Callable, pairs: Sequence[str]) -> dict[str, Any]:
    """What several --set mean: each value is read as the default of its option is."""
    known, found = _options(function), {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in known:
            raise InputError(f"{study} has the options {', '.join(known)}. Received: --set {pair[:200]}")
        if key in found:
            raise InputError(f"An option must be given once. Received: {key} twice")
        default = known[key]
        if isinstance(default, tuple):
            found[key] = [_read(key, part, default[0]) for part in text.split(",")]
        else:
            found[key] = _read(key, text, default)
    return found


def _read(key: str, text: str, default: Any) -> Any:
    """The value of a text, of the kind of a default; None stands for a name."""
    if default is None or isinstance(default, str):
        return text.strip()
    try:
        return type(default)(text)
    except ValueError:
        raise _check.refuse(key, "a whole number" if isinstance(default, int) else "a number", text) from None


COMMAND = Command(
    "study",
    "[NAME]",
    "Runs an experiment of the literature on why networks train: numbers, whether they show what the source says, and "
    "a picture. Without a name it lists them.",
    "kerascnn study initialization --set activation=tanh --out studied",
    (
        Flag("model", "of studies of a network: its name", placeholder="NAME"),
        Flag("weights", "of that network: a tag or a file", unless_given="drawn at random", placeholder="TAG|FILE"),
        options.NETWORK[2],
        dataclasses.replace(options.CHECKPOINT, help=f"or, of trained networks: {options.CHECKPOINT.help}"),
        *options.data_flags("the data that it asks networks about, or trains them on; by default those of the run"),
        Flag("split", "the part of the data", choices=("train", "validation", "test"),
             unless_given="train"),
        Flag("samples", "how many images, the first ones", int, low=1, unless_given="2000"),
        Flag("set", "an option of the study, such as --set seed=1; may be given several times",
             placeholder="KEY=VALUE", repeated=True),
        Flag("out", "folder that it writes study.json, arrays.npz and picture.png into", placeholder="FOLDER"),
    ),
    run,
    positional=(0, 1),
)  # fmt: skip
