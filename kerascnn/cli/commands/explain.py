"""kerascnn explain."""

import inspect
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder
from kerascnn.cli import networks, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow
from kerascnn.cli.naming import class_number, pictures
from kerascnn.cli.seeing import word

_OPTIONS = ("layer", "window", "stride", "steps", "samples", "noise")  # flags that a method may have as arguments
_MOST = 64  # images at a time


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn explain."""
    networks.check("explain", values)
    name, *paths = arguments
    words = word.find()
    if name in words:
        return word.run(words[name], values, paths, console)
    if not paths:
        raise InputError(f"kerascnn explain needs METHOD IMAGE_OR_FOLDER... Example: {COMMAND.example}")
    for flag in word.flags():
        if values[flag.name] is not None:
            raise InputError(f"{name} has no option {flag.name}. Received: --{flag.name}={values[flag.name]}")
    load_tensorflow()
    import numpy as np

    from kerascnn import explain
    from kerascnn.data.preprocessing import read_image
    from kerascnn.inference.files import expand

    method = explain.METHODS[_check.one_of("METHOD", name, [*explain.METHODS, *words])]
    given = {key: values[key] for key in _OPTIONS if values[key] is not None}
    known = inspect.signature(method).parameters
    for key, value in given.items():
        if key not in known:
            raise InputError(f"{name} has no option {key}. Received: --{key}={value}")
    listed = expand(paths)
    for _, reason in listed:
        if reason is not None:
            raise InputError(reason)
    files = [Path(path) for path, _ in listed]
    if len(files) > _MOST:
        raise InputError(f"At most {_MOST} images are explained at a time. Received: {len(files)}")
    predictor = networks.load(values)
    names = list(predictor.class_names)
    images = np.stack([predictor.prepare(read_image(file, predictor.input_shape[2])) for file in files])
    target = None if values["target"] is None else class_number(values["target"], names)
    found = method(predictor.model, images, target, **given)
    folder = ensure_folder(values["out"])
    with atomic_write(folder / "explanation.npz", "wb") as file:
        np.savez(file, maps=found.maps, raw=found.raw, target=found.target, scores=found.scores)
    table = Table("image", "class", "score", "picture")
    for index, (file, picture) in enumerate(zip(files, pictures(files, name), strict=True)):
        part = slice(index, index + 1)
        one = explain.Explanation(
            found.maps[part], found.raw[part], found.layer, found.target[part], found.scores[part], name, found.options
        )
        explain.draw(one, images[part], folder / picture, class_names=names, titles=[file.name])
        # A file or class may be called "[bold]", which rich would obey in a plain string.
        cells = (str(file), names[int(found.target[index])], f"{found.scores[index]:.3f}", picture)
        table.add_row(*map(Text, cells))
    console.print(table)
    written = f"written: pictures and explanation.npz in {folder}"
    console.print(written, highlight=False, markup=False, soft_wrap=True)


COMMAND = Command(
    "explain",
    "METHOD IMAGE_OR_FOLDER...",
    "Draws what a trained network looks at: METHOD is gradients, smoothgrad, integrated_gradients, guided_backprop, "
    "deconvnet, grad_cam, grad_cam_plus_plus, guided_grad_cam, cam, attention_rollout or occlusion; or "
    f"what it sees, or is made to see: {', '.join(word.find())}.",
    "kerascnn explain grad_cam image.png --checkpoint runs/digits --out explained",
    (
        options.CHECKPOINT,
        *options.NETWORK,
        Flag("out", "folder for the pictures and explanation.npz", placeholder="FOLDER"),
        Flag(
            "target",
            "the class whose score is explained, or to be reached: its name or number",
            unless_given="the most probable one",
        ),
        Flag(
            "layer",
            "gradients: at the map of this layer, not at the image; grad_cam and its kin: at this map, not the last; "
            "activations, filters, patches, feature_image, inversion: of this layer; MODEL/NAME in a model inside the "
            "model",
            placeholder="NAME",
        ),
        Flag("window", "occlusion: side of the covered square in pixels", int, low=1),
        Flag("stride", "occlusion: pixels between squares", int, low=1),
        Flag(
            "steps",
            "integrated_gradients: points on the way from the mean color to the image; pgd and made images: steps",
            int,
            low=1,
        ),
        Flag("samples", "smoothgrad: noisy copies of the image", int, low=1),
        Flag("noise", "smoothgrad: deviation of the noise, as a part of the image's range", float, low=0.0),
        *word.flags(),
    ),
    run,
    required=("out",),
    positional=(1, None),
)
