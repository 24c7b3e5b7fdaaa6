"""Folders of image files, one sub-folder per class."""

import os
from pathlib import Path

import numpy as np
from absl import logging

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.sets._files import Listing, folders, part_folders, shown
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Below, Files


def load_folder(folder: Path) -> Source:
    """Images in sub-folders named after their classes, at any depth below these.

    Either `train/CLASS/...` with `val/` (or `valid/`, `validation/`) or `test/` or both beside it, or `CLASS/...`
    alone; parts that are missing are held out of training by `kerascnn.data.parts`. Classes are numbered in the order
    of their names. All images are read as RGB; sizes may differ. Hidden files are passed over, and files that are not
    named like images are counted in one line of the log.

    Args:
        folder: the folder above.

    Returns:
        The source, named like the folder.

    Raises:
        InputError: no class, a class without images, classes of another part that are not training classes, a folder
            that cannot be read, or too few images to hold some out.
    """
    listing = Listing(folder)
    divided = part_folders(folder, lambda path: bool(folders(path)))
    found = {part: _classes(path, listing) for part, path in (divided or {"train": folder}).items()}
    class_names = tuple(found["train"])
    splits = {}
    for part, by_class in found.items():
        unknown = sorted(set(by_class) - set(class_names))
        if unknown:
            where = f"{shown(divided[part].name)}/" if divided else ""
            raise InputError(f"Classes of {where} must be classes of train/. Received: {unknown} in {shown(folder)}")
        names = [image for name in class_names for image in by_class.get(name, [])]
        counts = [len(by_class.get(name, [])) for name in class_names]
        splits[part] = Files(Below(folder, names), np.repeat(np.arange(len(counts)), counts), names)
    listing.report()
    source = Source(os.path.basename(os.path.abspath(folder)), class_names, (None, None, 3), splits)
    _warn_of_classes_without_images(source)
    return source


def _classes(folder, listing):
    """The names of the sorted image files of each class, by the name of its sub-folder."""
    class_folders = folders(folder)
    if not class_folders:
        rule = "A folder of images must hold one sub-folder per class, or train/ and test/, or IDX files"
        raise InputError(f"{rule}. Received: {shown(folder)}")
    found = {}
    for class_folder in class_folders:
        try:
            class_folder.name.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"Names of classes must be UTF-8. Received: {shown(class_folder)}") from error
        found[class_folder.name] = listing.below(class_folder)
        if not found[class_folder.name]:
            passed = f"; ignored: {listing.summary()}" if listing.ignored else ""
            rule = f"Every class must have images, files named {', '.join(FORMATS)}"
            raise InputError(f"{rule}. Received: {shown(class_folder)}, which has none{passed}")
    return found


def _warn_of_classes_without_images(source):
    counts = np.bincount(source.split("train").numbers, minlength=len(source.class_names))
    empty = [name for name, count in zip(source.class_names, counts, strict=True) if not count]
    if empty:
        logging.warning(
            "%s: all images of %d of %d classes are held out, none is left for training (%s)",
            source.name, len(empty), len(counts), ", ".join(empty[:5]),
        )  # fmt: skip


KIND = Kind(lambda wanted: load_folder(wanted.path), reads=lambda folder, task: True, order=2)
