"""One word of `kerascnn explain` as data, and how it is run. Imports no TensorFlow."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.cli import networks, seeing
from kerascnn.cli.command import Flag, Values
from kerascnn.cli.loading import load_tensorflow


@dataclasses.dataclass(frozen=True)
class Request:
    """What a word is asked."""

    predictor: Any  # a `Predictor` with its model
    files: list[Path]  # of the images
    images: Any  # float32 [n, height, width, channels], as the network takes them; None where no image is given
    values: Values  # the flags
    folder: Path  # --out, which is there

    def options(self, *names: str) -> dict[str, Any]:
        """The flags of these names that were given."""
        return {name: self.values[name] for name in names if self.values[name] is not None}

    def channels(self) -> list[int] | None:
        """What --channels says; None: it was not given.

        Raises:
            InputError: a number is not whole.
        """
        given = self.values["channels"]
        if given is not None and any(channel != int(channel) for channel in given):
            raise InputError(f"channels must be whole numbers. Received: --channels={given}")
        return None if given is None else [int(channel) for channel in given]


@dataclasses.dataclass(frozen=True)
class Word:
    """What `kerascnn explain WORD` does."""

    name: str
    images: tuple[int, int | None]  # how many images it takes at least and at most
    flags: tuple[str, ...]  # which flags it knows, of its own and of others
    needs: tuple[str, ...]  # flags that must be given
    run: Callable[[Request], list[str]]  # writes files into the folder, and returns their names
    own: tuple[Flag, ...] = ()  # flags that no method has


COMMON = ("checkpoint", "model", "weights", "image_size", "out")  # flags of every word


def find() -> dict[str, Word]:
    """All words, alphabetically: the modules of kerascnn/cli/seeing that have a `WORD`."""
    names = sorted(module.name for module in pkgutil.iter_modules(seeing.__path__) if module.name != "word")
    modules = (importlib.import_module(f"{seeing.__name__}.{name}") for name in names)
    words = (vars(module).get("WORD") for module in modules)
    return {word.name: word for word in words if word is not None}


def flags() -> tuple[Flag, ...]:
    """The flags that words alone have, each once."""
    return tuple({flag.name: flag for word in find().values() for flag in word.own}.values())


def run(word: Word, values: Values, paths: list[str], console: Console) -> None:
    """Runs a word.

    Args:
        word: which one.
        values: flags of the command.
        paths: of images and folders.
        console: where the names of what was written go.

    Raises:
        InputError: a flag that the word does not know, one that it needs is missing, or too few or many images.
    """
    defaults = {flag.name: flag.default for flag in word.own}
    for name, value in values.items():
        known = name in COMMON or name in word.flags or name in defaults
        if value is not None and value != () and not known:
            raise InputError(f"{word.name} has no option {name}. Received: --{name}={value}")
    missing = [f"--{name}" for name in word.needs if values[name] is None]
    if missing:
        raise InputError(f"kerascnn explain {word.name} needs {' and '.join(missing)}. Received: none")
    low, high = word.images
    if (not paths and low) or (paths and high == 0):
        rule = "takes no images" if high == 0 else "needs IMAGE_OR_FOLDER..."
        raise InputError(f"kerascnn explain {word.name} {rule}. Received: {paths[0] if paths else 'none'}")
    load_tensorflow()
    import numpy as np

    from kerascnn.data.preprocessing import read_image
    from kerascnn.inference.files import expand

    files = []
    for path, reason in expand(paths) if paths else ():
        if reason is not None:
            raise InputError(reason)
        files.append(Path(path))
    if len(files) < low or (high is not None and len(files) > high):
        most = "" if high is None else f" and at most {high}"
        raise InputError(f"kerascnn explain {word.name} takes at least {low}{most} images. Received: {len(files)}")
    predictor = networks.load(values)
    images = None
    if files:
        images = np.stack([predictor.prepare(read_image(file, predictor.input_shape[2])) for file in files])
    written = word.run(Request(predictor, files, images, values, ensure_folder(values["out"])))
    text = f"written: {', '.join(written)} in {values['out']}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
