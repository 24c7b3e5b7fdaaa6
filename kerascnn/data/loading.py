"""Finds a data set by name or path."""

import dataclasses
import difflib
import itertools
import os
from pathlib import Path

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.sets import Kind, Wanted, kinds, tfds
from kerascnn.data.sets.idx import find_idx
from kerascnn.data.source import Source

_LOOKED_AT = 1000  # files of a folder, before it is taken for one without images
TASKS = ("classification", "segmentation")


def load(
    name: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    limit: int | None = None,
    task: str | None = None,
) -> Source:
    """Finds a set of labeled images, or of images with masks. It has the parts that `kerascnn.data.parts` tells of.

    Args:
        name: one of
            "digits": 1,797 real handwritten digits, 8x8, inside the package;
            "synthetic", or with options "synthetic:224x224x3,classes=10,examples=256,test=64": generated patterns;
            "mnist", "fashion_mnist": from IDX files in `data_dir` (itself or a sub-folder of that name) or where
            Debian's package `dataset-fashion-mnist` puts them, else from TFDS;
            a path: a folder of IDX files or of class sub-folders, perhaps below train/, val/ and test/;
            a table of image files, a .csv or .tsv file with columns path, label and perhaps split (see
            `kerascnn.data.sets.manifest`);
            any image classification set that TFDS knows, "name", "name/config" or "name:version";
            with masks, for segmentation: "shapes", or with options "shapes:96x96x3,classes=6,examples=400": generated
            images of shapes; a path to images/ and masks/ (see `kerascnn.data.sets.mask_folder`), perhaps
            below train/, val/ and test/; with task="segmentation" a TFDS set with masks, such as "oxford_iiit_pet".
        data_dir: an existing folder: where IDX files are looked for, or where TFDS keeps its sets (by default in
            ~/tensorflow_datasets, to which they are downloaded at first use).
        seed: makes the synthetic images and shapes.
        limit: keep at most this many examples of each split.
        task: "classification" (labels) or "segmentation" (masks); None: what the set is for; of a TFDS set labels.

    Returns:
        The source.

    Raises:
        InputError: nothing has that name (near names are listed), files are missing or damaged, labels are out of
            range, a set cannot be downloaded, or it is for another task.
    """
    name = os.fspath(name)
    if task not in (None, *TASKS):
        raise InputError(f"task must be one of {', '.join(TASKS)}. Received: {task!r}")
    if data_dir is not None and not Path(data_dir).expanduser().is_dir():
        raise InputError(f"The data folder must exist. Received: {data_dir}")
    place = None if data_dir is None else Path(os.path.abspath(Path(data_dir).expanduser()))
    source = _find(name, place, seed, task)
    if task not in (None, source.task):
        wanted, kept = ("masks", "labels") if task == "segmentation" else ("labels", "masks")
        raise InputError(f"A data set for {task} must have {wanted}. Received: {name!r}, which has {kept}")
    location = {"name": _normalized(name), "data_dir": None if place is None else os.fspath(place)}
    source = dataclasses.replace(source, location=location)
    return source if limit is None else source.take(limit, seed)


def _named() -> dict[str, Kind]:
    """The kinds of the sets that have names of their own, by those."""
    return {name: kind for kind in kinds().values() for name in kind.names}


def _normalized(name):
    """The name itself, or one path for all spellings of a folder or file."""
    if name.partition(":")[0] in _named():
        return name
    path = Path(name).expanduser()
    return os.path.abspath(path) if path.exists() else name


def _find(name, data_dir, seed, task):
    base, _, options = name.partition(":")
    wanted, path = Wanted(name, options, None, data_dir, seed, task), Path(name).expanduser()
    if base in _named():
        if path.is_dir() and _holds_images(path):
            raise InputError(
                f"There is a set and a folder of this name: write .{os.sep}{name} for the folder, or rename it. "
                f"Received: {name!r} in {os.getcwd()}"
            )
        return _named()[base].load(wanted)
    if name and path.is_dir():
        kind = next(kind for kind in kinds().values() if kind.reads is not None and kind.reads(path, task))
        return kind.load(dataclasses.replace(wanted, path=path))
    if name and path.exists():
        tables = {ending: kind for kind in kinds().values() for ending in kind.files}
        if path.suffix.lower() in tables and path.is_file():
            return tables[path.suffix.lower()].load(dataclasses.replace(wanted, path=path))
        rule = f"A path must lead to a folder of images or IDX files, or to a table ({', '.join(tables)})"
        raise InputError(f"{rule}. Received: the file {name}")
    if not name or name.startswith(("/", ".", "~", "\\")):
        raise InputError(f"The data folder must exist. Received: {name!r}")
    known = tfds.names()
    if base.partition("/")[0] not in known:
        built_in = list(_named())
        near = difflib.get_close_matches(name, dict.fromkeys([*built_in, *known]), n=4, cutoff=0.6)
        also = "also TFDS names" if known else "TFDS names, too, with pip install 'kerascnn[tfds]'"
        hint = f"near names: {', '.join(near)}" if near else f"built in: {', '.join(built_in)}; {also}"
        raise InputError(f"There is neither a data set nor a folder of this name ({hint}). Received: {name!r}")
    return tfds.KIND.load(wanted)


def _holds_images(folder: Path) -> bool:
    """Whether a folder is one of images or IDX files: not, say, the run of a training on the set of its name."""
    if find_idx(folder):
        return True
    files = itertools.islice((name for _, _, names in os.walk(folder) for name in names), _LOOKED_AT)
    return not (folder / "config.json").exists() and any(name.lower().endswith(tuple(FORMATS)) for name in files)
