"""kerascnn data."""

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    action = _check.one_of("ACTION", arguments[0], tuple(_ACTIONS))
    for flag in COMMAND.flags:
        others = [name for name, flags in _OWN.items() if flag.name in flags]
        if others and action not in others and values[flag.name] != flag.default:
            received = f"--{flag.name} with {action}"
            raise InputError(f"{flag.name} is a flag of kerascnn data {' and '.join(others)}. Received: {received}")
    _ACTIONS[action](values, console)


def _out(values: Values, action: str) -> str:
    if values["out"] is None:
        raise InputError(f"kerascnn data {action} needs --out. Received: no --out")
    return values["out"]


def _print(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _pack(values: Values, console: Console) -> None:
    """Few large files."""
    out = _out(values, "pack")
    load_tensorflow()
    from kerascnn import data

    source = data.load(values["data"], values["data_dir"])

    def told(part, done, of):
        if done < of and 20 * done // of == 20 * (done - 1000) // of:
            return  # a line for every twentieth
        console.print(f"{part}: {done:,} of {of:,}", highlight=False, markup=False)

    done = data.pack(
        source, out, shard_bytes=values["shard_mb"] * 10**6, skip_damaged=values["skip_damaged"], seed=values["seed"],
        told=told,
    )  # fmt: skip
    for line in done.damaged:
        _print(console, f"left out: {line}")
    if done.damaged:
        _print(console, f"left out: {len(done.damaged)} damaged files")
    _print(console, f"written: {done.folder}, {done.files} files, {done.bytes / 1e6:,.1f} MB; use it as --data {out}")


def _check_set(values: Values, console: Console) -> None:
    """What a set holds, and what is damaged."""
    load_tensorflow()
    from kerascnn import data

    source = data.load(values["data"], values["data_dir"])
    console.print(_counts(source))
    wrong = [line for lines in data.damaged(source).values() for line in lines]
    for _, why in wrong:
        _print(console, why)
    if wrong:
        rule = "Every image must be whole; kerascnn data pack --skip_damaged leaves others out"
        raise InputError(f"{rule}. Received: {len(wrong)} damaged files in {source.name}")
    _print(console, "Every image can be decoded.")


def _counts(source) -> Table:
    """Examples of each part, by class where the labels are at hand."""
    table = Table(title=f"{source.name}: {len(source.class_names)} classes")
    table.add_column("class")
    numbers = {part: getattr(split, "numbers", None) for part, split in source.splits.items()}
    for part in numbers:
        table.add_column(part, justify="right")
    if all(labels is not None for labels in numbers.values()):
        for number, name in enumerate(source.class_names):
            table.add_row(Text(name), *(f"{(labels == number).sum():,}" for labels in numbers.values()))
        table.add_section()
    table.add_row("all", *(f"{size:,}" for size in source.sizes.values()))
    return table


def _show(values: Values, console: Console) -> None:
    """A sheet of augmented images."""
    if values["augment"] is None and values["recipe"] is None:
        raise InputError("kerascnn data show needs --augment or --recipe. Received: neither")
    out = Path(_out(values, "show"))
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
    _print(console, f"augment: {augment}")
    _print(console, f"written: {out}")


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


_ACTIONS = {"show": _show, "check": _check_set, "pack": _pack}
_OWN = {  # flags that an action does not share with all others
    "show": ("out", "augment", "recipe", "image_size", "images", "copies", "seed"),
    "pack": ("out", "seed", "shard_mb", "skip_damaged"),
}

COMMAND = Command(
    "data",
    "ACTION",
    "Looks at a data set: ACTION is show, which draws what an augmentation makes of some training images, check, which "
    "counts the examples and reads every image file, or pack, which writes the set into a few large files.",
    "kerascnn data show --data digits --augment pad_crop+randaugment --out sheet.png",
    (
        *options.data_flags("as for kerascnn train"),
        Flag("out", "show: the picture, a .png file; pack: the folder", placeholder="FILE|FOLDER"),
        Flag("augment", "the augmentation, as for kerascnn train", unless_given="that of the recipe"),
        Flag("recipe", "or: that of a recipe for this set", choices=tuple(RECIPES)),
        Flag(
            "image_size", "height and width in pixels", int, low=1, high=4096,
            unless_given=f"the data's own, {_LARGE} where they differ",
        ),
        Flag("images", "how many images, a row each", int, 6, low=1, high=32),
        Flag("copies", "how often each is drawn", int, 7, low=1, high=32),
        Flag("seed", "of what is random", int, 0, low=0, high=2**31 - 1),
        Flag("shard_mb", "pack: a file is ended when it has so many megabytes", int, 128, low=1, high=10**6),
        Flag("skip_damaged", "pack: leave out files that cannot be decoded, and name them", bool, False),
    ),
    run,
    required=("data",),
    positional=(1, 1),
    note="The first column is without augmentation. The mean color that covers is ImageNet's.",
)  # fmt: skip
