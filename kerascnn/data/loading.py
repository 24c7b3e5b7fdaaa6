"""Finds a data set by name or path."""

import dataclasses
import difflib
import os
from pathlib import Path

from kerascnn._errors import InputError
from kerascnn.data.sets import tfds
from kerascnn.data.sets.digits import load_digits
from kerascnn.data.sets.folder import load_folder
from kerascnn.data.sets.idx import find_idx, load_idx
from kerascnn.data.sets.mask_folder import has_masks, load_mask_folder
from kerascnn.data.sets.shapes import load_shapes
from kerascnn.data.sets.synthetic import load_synthetic
from kerascnn.data.source import Source

SYSTEM_FOLDER = Path("/usr/share/datasets")  # where Debian's packages put data sets
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_IDX_SETS = {"mnist": tuple("0123456789"), "fashion_mnist": _FASHION}
_BUILT_IN = ("digits", "synthetic", "shapes", *_IDX_SETS)
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


def _normalized(name):
    """The name itself, or one path for all spellings of a folder."""
    if name in _IDX_SETS or name.partition(":")[0] in _BUILT_IN:
        return name
    path = Path(name).expanduser()
    return os.path.abspath(path) if path.is_dir() else name


def _find(name, data_dir, seed, task):
    if name == "digits":
        return load_digits()
    if name.partition(":")[0] == "shapes":
        return load_shapes(name.partition(":")[2], seed)
    if name.partition(":")[0] == "synthetic":
        return load_synthetic(name.partition(":")[2], seed)
    if name in _IDX_SETS:
        return _load_idx_set(name, data_dir)
    path = Path(name).expanduser()
    if name and path.is_dir():
        if find_idx(path):
            return load_idx(path, os.path.basename(os.path.abspath(path)))
        # A folder of which the caller says that it is for segmentation is told what it lacks for that.
        with_masks = task == "segmentation" or has_masks(path)
        return load_mask_folder(path) if with_masks else load_folder(path)
    if name and path.exists():
        raise InputError(f"A path must lead to a folder of images or IDX files. Received: the file {name}")
    if not name or name.startswith(("/", ".", "~", "\\")):
        raise InputError(f"The data folder must exist. Received: {name!r}")
    known = tfds.names()
    if name.partition("/")[0].partition(":")[0] not in known:
        near = difflib.get_close_matches(name, dict.fromkeys([*_BUILT_IN, *known]), n=4, cutoff=0.6)
        hint = f"near names: {', '.join(near)}" if near else f"built in: {', '.join(_BUILT_IN)}; also TFDS names"
        raise InputError(f"There is neither a data set nor a folder of this name ({hint}). Received: {name!r}")
    return tfds.load_tfds(name, data_dir, task or "classification")


def _load_idx_set(name, data_dir):
    sub_folders = dict.fromkeys([name, name.replace("_", "-")])
    places = [data_dir, *(data_dir / sub for sub in sub_folders)] if data_dir else []
    places += [SYSTEM_FOLDER / sub for sub in sub_folders]
    for place in places:
        if place.is_dir() and find_idx(place):
            return load_idx(place, name, _IDX_SETS[name])
    try:
        return tfds.load_tfds(name, data_dir)
    except InputError as error:
        looked = ", ".join(str(place) for place in places)
        package = " or install the Debian package dataset-fashion-mnist" if name == "fashion_mnist" else ""
        cure = f"put its IDX files (train-images-idx3-ubyte.gz, ...) into data_dir{package}"
        raise InputError(f"Cannot find {name}: no IDX files in {looked}; from TFDS: {error}; {cure}") from error
