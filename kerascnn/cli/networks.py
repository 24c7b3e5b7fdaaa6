"""The network that a command uses: of a run, or one by its name with published or other weights."""

import dataclasses
import os

from kerascnn._errors import InputError
from kerascnn.cli.command import Values

_RULE = "a trained network: --checkpoint RUN, or --model NAME with --weights"


def check(command: str, values: Values, *others: str) -> None:
    """Refuses flags that name no network or several; cheap, before TensorFlow is loaded.

    Args:
        command: its name.
        values: its flags.
        *others: further flags that name one.

    Raises:
        InputError: they do not fit together.
    """
    given = [f"--{name}" for name in ("checkpoint", *others, "model") if values[name] is not None]
    rule = f"{_RULE}{''.join(f', or --{name}' for name in others)}"
    if len(given) != 1:
        raise InputError(f"kerascnn {command} needs {rule}. Received: {' and '.join(given) or 'none'}")
    if (given == ["--model"]) != (values["weights"] is not None):
        received = "--model without --weights" if given == ["--model"] else "--weights without --model"
        raise InputError(f"kerascnn {command} needs {rule}. Received: {received}")
    if values["image_size"] is not None and given != ["--model"]:
        raise InputError(f"image_size is given with --model alone. Received: image_size={values['image_size']}")


def load(values: Values):
    """The network in use, as a `Predictor`; needs TensorFlow.

    Args:
        values: flags of `options.CHECKPOINT` and `options.NETWORK`.

    Returns:
        The predictor; of a network by name it has no `path`, and its `config` is empty.

    Raises:
        InputError: it cannot be loaded.
    """
    import kerascnn
    from kerascnn import inference
    from kerascnn.applications._classes import class_names
    from kerascnn.applications._published import published_row

    if values["checkpoint"] is not None:
        return inference.checkpoint.load(values["checkpoint"])
    info = kerascnn.model_info(values["model"])
    row, size = published_row(info, values["weights"]), values["image_size"]
    channels = info.input_shape[2] if row is None else row.channels
    options = {} if size is None else {"input_shape": (size, size, channels)}
    model = kerascnn.create_model(info.name, weights=values["weights"], **options)
    known = row is not None and len(row.class_names) == model.output_shape[-1]
    names = row.class_names if known else class_names(model.output_shape[-1], info.task)
    return inference.Predictor.from_model(model, names)


def title(values: Values, predictor) -> str:
    """What a network is called in titles and records."""
    if predictor.path is not None:
        return str(predictor.path)
    return f"{values['model']} with {values['weights']}"


def same_classes(predictor, class_names) -> bool:
    """Whether data have the classes of a network; those of ImageNet may be called by their WordNet ids."""
    from kerascnn.applications._classes import imagenet_classes

    names = tuple(class_names)
    ids = tuple(wordnet for wordnet, _ in imagenet_classes())
    of_imagenet = predictor.class_names == tuple(name for _, name in imagenet_classes())
    return names == predictor.class_names or (of_imagenet and names == ids)


def teacher(text: str, class_names):
    """What --teacher names.

    Args:
        text: a run folder or a .keras file in one; else NETWORK or NETWORK:WEIGHTS, weights being a tag or a file.
        class_names: of the data.

    Returns:
        The predictor, with the names of the data where its own are other names of the same.

    Raises:
        InputError: it is none of these, or cannot be loaded.
    """
    name, _, weights = text.partition(":")
    if os.path.exists(text) or os.sep in name or name.endswith(".keras"):
        predictor = load({"checkpoint": text})
    else:
        values = {"checkpoint": None, "model": name, "weights": weights or "imagenet", "image_size": None}
        try:
            predictor = load(values)
        except InputError as error:
            rule = "The teacher must be a run folder, a .keras file in one, NETWORK or NETWORK:WEIGHTS"
            raise InputError(f"{rule} ({error}). Received: {text}") from error
    return (
        dataclasses.replace(predictor, class_names=tuple(class_names))
        if same_classes(predictor, class_names)
        else predictor
    )
