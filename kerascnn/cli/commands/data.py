"""kerascnn data."""

import dataclasses
from pathlib import Path

from rich.console import Console

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.cli import options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow
from kerascnn.training.plan import augmentation
from kerascnn.training.recipes import RECIPES

_INCHES = 1.1  # of each image
_LARGE = 224  # pixels, of images whose sizes differ and for which no other size is asked


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn data."""
    _ACTIONS[_check.one_of("ACTION", arguments[0], tuple(_ACTIONS))](values, console)


def _show(values: Values, console: Console) -> None:
    """A sheet of augmented images."""
    if values["augment"] is None and values["recipe"] is None:
        raise InputError("kerascnn data show needs --augment or --recipe. Received: neither")
    out = Path(values["out"])
    if out.suffix.lower() != ".png":
        raise InputError(f"out must be the name of a .png file. Received: out={values['out']}")
    load_tensorflow()
    from kerascnn import data
    from kerascnn._preprocessing import IMAGENET

    source = data.load(values["data"], values["data_dir"])
    augment = values["augment"] or augmentation(values["recipe"], source)
    data.augment.check(augment, source.task)
    height, width, channels = source.image_shape
    size = values["image_size"]
    shape = (size or height or _LARGE, size or width or _LARGE, channels)
    sheet = data.preview(
        source, augment, image_shape=shape, preprocessing=dataclasses.replace(IMAGENET, crop_fraction=1.0),
        images=values["images"], copies=values["copies"], seed=values["seed"],
    )  # fmt: skip
    ensure_folder(out.parent)
    _draw(sheet, f"{source.name}: {augment}", out)
    console.print(f"augment: {augment}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"written: {out}", highlight=False, markup=False, soft_wrap=True)


def _draw(sheet, title: str, path: Path) -> None:
    """Each row an image, first without augmentation."""
    import matplotlib.figure

    from kerascnn import _figures

    rows, columns = sheet.shape[:2]
    figure = matplotlib.figure.Figure((_INCHES * columns, _INCHES * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            image = sheet[row, column]
            image = image[..., 0] if image.shape[-1] == 1 else image
            axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes[row, column].set_axis_off()
    figure.suptitle(title, fontsize="medium")
    _figures.save(figure, path)


_ACTIONS = {"show": _show}

COMMAND = Command(
    "data",
    "ACTION",
    "Looks at a data set: ACTION is show, which draws what an augmentation makes of some training images.",
    "kerascnn data show --data digits --augment pad_crop+randaugment --out sheet.png",
    (
        *options.data_flags("as for kerascnn train"),
        Flag("out", "the picture, a .png file", placeholder="FILE"),
        Flag("augment", "the augmentation, as for kerascnn train", unless_given="that of the recipe"),
        Flag("recipe", "or: that of a recipe for this set", choices=tuple(RECIPES)),
        Flag(
            "image_size", "height and width in pixels", int, low=1, high=4096,
            unless_given=f"the data's own, {_LARGE} where they differ",
        ),
        Flag("images", "how many images, a row each", int, 6, low=1, high=32),
        Flag("copies", "how often each is drawn", int, 7, low=1, high=32),
        Flag("seed", "of what is random", int, 0, low=0, high=2**31 - 1),
    ),
    run,
    required=("data", "out"),
    positional=(1, 1),
    note="The first column is without augmentation. The mean color that covers is ImageNet's.",
)  # fmt: skip
