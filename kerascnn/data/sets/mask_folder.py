"""Folders of images with masks, for segmentation."""

import concurrent.futures
import os
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE, PairFiles, read_mask
from kerascnn.data.sets._files import Listing, folders, part_folders, shown
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source

NAMES_FILE = "classes.txt"
_BLOCK = 64  # masks read at a time while a pixel of any class is looked for


def has_masks(folder: Path) -> bool:
    """Whether a folder, or its train/, holds images/ and masks/."""
    return any({"images", "masks"} <= _below(place).keys() for place in (folder, folder / "train") if place.is_dir())


def load_mask_folder(folder: Path) -> Source:
    """Images in images/ with masks of the same names, but for the ending, in masks/; sub-folders are alike in both.

    Either `train/images/`, `train/masks/` with `val/...` (or `valid/`, `validation/`) or `test/...` or both beside it,
    or `images/` and `masks/` alone; parts that are missing are held out of training by `kerascnn.data.parts`. A mask is
    a PNG of class numbers, grayscale or with a palette, of its image's size; 255 means that a pixel has no class. The
    classes' names are the lines of `classes.txt`, in the order of the numbers; without it all training masks are read
    for the largest number.

    Args:
        folder: the folder above.

    Returns:
        The source, named like the folder; the masks themselves are checked when they are read.

    Raises:
        InputError: a folder or a mask is missing, a mask has no image, two images have one name, the list of classes is
            empty, no pixel of the masks has a class but the first, or too few images to hold some out.
    """
    listings = Listing(folder), Listing(folder, (".png",))
    divided = part_folders(folder, lambda path: {"images", "masks"} <= _below(path).keys())
    pairs = {part: _pairs(path, *listings) for part, path in (divided or {"train": folder}).items()}
    class_names = _class_names(folder, [mask for _, mask in pairs["train"]])
    splits = {}
    for part, found in pairs.items():
        images, masks = ([pair[place] for pair in found] for place in (0, 1))
        splits[part] = PairFiles(images, masks, len(class_names), listings[0].names(images))
    for listing in listings:
        listing.report()
    return Source(os.path.basename(os.path.abspath(folder)), class_names, (None, None, 3), splits, task="segmentation")


def _below(folder):
    return {path.name.lower(): path for path in folders(folder)}


def _pairs(folder, *listings):
    """(image, mask) paths, sorted by name."""
    below = _below(folder)
    if not {"images", "masks"} <= below.keys():
        raise InputError(f"A folder for segmentation must hold images/ and masks/. Received: {shown(folder)}")
    images, masks = (
        _by_stem(below[name], listing) for name, listing in zip(("images", "masks"), listings, strict=True)
    )
    for one, other, what in ((images, masks, "image must have a mask"), (masks, images, "mask must have an image")):
        lonely = sorted(one.keys() - other.keys())
        if lonely:
            rule = f"Every {what} of its name"
            raise InputError(f"{rule}. Received: {shown(one[lonely[0]])} ({len(lonely)} such files)")
    if not images:
        raise InputError(f"There must be images. Received: {shown(below['images'])}, which has none")
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def _by_stem(folder, listing):
    paths: dict[str, str] = {}
    for path in listing.files(folder):
        stem = os.path.splitext(os.path.relpath(path, folder))[0]
        if stem in paths:
            raise InputError(f"Names must differ in more than their endings. Received: {shown(path)}")
        paths[stem] = path
    return paths


def _class_names(folder, masks):
    path = folder / NAMES_FILE
    if path.exists():
        try:
            names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The list of classes cannot be read. Received: {shown(path)}") from error
        if not 2 <= len(names) <= IGNORE or not all(names) or len(set(names)) < len(names):
            rule = f"The list of classes must have 2 to {IGNORE} different names, one a line"
            raise InputError(f"{rule}. Received: {len(names)} lines in {shown(path)}")
        _numbers(folder, masks, until=1)
        return names
    return tuple(str(number) for number in range(1 + max(_numbers(folder, masks) - {IGNORE})))


def _numbers(folder, masks, until=IGNORE):
    """The numbers in the masks, of which one is neither 0 nor IGNORE; reading may end at the first number from `until`.

    Masks of 0 and 255, as many programs write them, would else be learned perfectly: all that is not ignored is 0.
    """
    seen: set[int] = set()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(masks), _BLOCK):
            seen = seen.union(*pool.map(_unique, masks[start : start + _BLOCK]))
            if any(until <= number < IGNORE for number in seen):
                break
    if not any(0 < number < IGNORE for number in seen):
        binary = f" ({IGNORE} means that a pixel has no class: write 1 for the second class)" if IGNORE in seen else ""
        rule = f"The masks must hold two classes or more{binary}"
        received = f"no number but {' and '.join(map(str, sorted(seen)))} in the training masks of {shown(folder)}"
        raise InputError(f"{rule}. Received: {received}")
    return seen


def _unique(path):
    return np.flatnonzero(np.bincount(read_mask(path).ravel(), minlength=IGNORE + 1)).tolist()


# A folder of which the caller says that it is for segmentation is told what it lacks for that.
KIND = Kind(
    lambda wanted: load_mask_folder(wanted.path),
    reads=lambda folder, task: task == "segmentation" or has_masks(folder),
    order=1,
)
