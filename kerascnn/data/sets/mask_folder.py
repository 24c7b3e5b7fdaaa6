"""Folders of images with masks, for segmentation."""

import concurrent.futures
import os
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE, PairFiles, read_mask
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.sets.folder import hold_out, train_and_test, visible
from kerascnn.data.source import Source

NAMES_FILE = "classes.txt"


def has_masks(folder: Path) -> bool:
    """Whether a folder, or its train/, holds images/ and masks/."""
    return any({"images", "masks"} <= _below(place).keys() for place in (folder, folder / "train") if place.is_dir())


def load_mask_folder(folder: Path, seed: int = 0) -> Source:
    """Images in images/ with masks of the same names, but for the ending, in masks/.

    Either `train/images/`, `train/masks/` with `test/...` (or `val/`, `validation/`) beside it, or `images/` and
    `masks/` alone: then a tenth of the images, chosen by `seed`, is the test split. A mask is a PNG of class numbers,
    grey or with a palette, of its image's size; 255 means that a pixel has no class. The classes' names are the lines
    of `classes.txt`, in the order of the numbers; without it all training masks are read for the largest number.

    Args:
        folder: the folder above.
        seed: chooses the test images where there is no folder of them.

    Returns:
        The source, named like the folder; the masks themselves are checked when they are read.

    Raises:
        InputError: a folder or a mask is missing, a mask has no image, two images have one name, a file is not named
            like an image, the list of classes is empty, or nothing is left for testing.
    """
    divided = train_and_test(folder)
    if divided:
        train, test = (_pairs(part) for part in divided)
    else:
        pairs = _pairs(folder)
        random = np.random.RandomState(seed)  # the legacy generator, because its stream will never change
        train, test = ([pairs[index] for index in part] for part in hold_out(len(pairs), random))
        if not test:
            raise InputError(f"There must be two images, so that one is left for testing. Received: {folder}")
    class_names = _class_names(folder, [mask for _, mask in train])
    splits = {
        name: PairFiles([image for image, _ in pairs], [mask for _, mask in pairs], len(class_names))
        for name, pairs in (("train", train), ("test", test))
    }
    return Source(folder.name, class_names, (None, None, 3), splits, task="segmentation")


def _below(folder):
    return {path.name.lower(): path for path in visible(folder) if path.is_dir()}


def _pairs(folder):
    """(image, mask) paths, sorted by name."""
    below = _below(folder)
    if not {"images", "masks"} <= below.keys():
        raise InputError(f"A folder for segmentation must hold images/ and masks/. Received: {folder}")
    images, masks = (_by_stem(below[name], endings) for name, endings in (("images", FORMATS), ("masks", (".png",))))
    for one, other, what in ((images, masks, "image must have a mask"), (masks, images, "mask must have an image")):
        lonely = sorted(one.keys() - other.keys())
        if lonely:
            rule = f"Every {what} of its name"
            raise InputError(f"{rule}. Received: {one[lonely[0]]} ({len(lonely)} such files)")
    if not images:
        raise InputError(f"There must be images. Received: {below['images']}, which has none")
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def _by_stem(folder, endings):
    paths = {}
    for path in visible(folder):
        if path.is_dir() or path.suffix.lower() not in endings:
            raise InputError(f"{folder.name}/ must hold files named {', '.join(endings)}. Received: {path}")
        if path.stem in paths:
            raise InputError(f"Names must differ in more than their endings. Received: {path}")
        paths[path.stem] = os.fspath(path)
    return paths


def _class_names(folder, masks):
    path = folder / NAMES_FILE
    if path.exists():
        try:
            names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The list of classes cannot be read. Received: {path}") from error
        if not 2 <= len(names) <= IGNORE or not all(names) or len(set(names)) < len(names):
            rule = f"The list of classes must have 2 to {IGNORE} different names, one a line"
            raise InputError(f"{rule}. Received: {len(names)} lines in {path}")
        return names
    with concurrent.futures.ThreadPoolExecutor() as pool:
        largest = max(pool.map(_largest, masks))
    if largest < 1:
        rule = f"Without {NAMES_FILE} the masks must hold two classes or more"
        raise InputError(f"{rule}. Received: no number above {max(largest, 0)} in the training masks of {folder}")
    return tuple(str(number) for number in range(largest + 1))


def _largest(path):
    mask = read_mask(path)
    return int(mask[mask != IGNORE].max(initial=0))
