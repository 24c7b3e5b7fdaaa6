"""Folders of image files, one sub-folder per class."""

import os
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.source import Source
from kerascnn.data.splits import Files

_TEST_NAMES = ("test", "val", "validation")
_IGNORED = ("thumbs.db", "desktop.ini")  # left behind by file managers, as are names that begin with a dot
_TEST_SHARE = 0.1


def load_folder(folder: Path, seed: int = 0) -> Source:
    """Images in sub-folders named after their classes.

    Either `train/CLASS/*` with `test/CLASS/*` (or `val/`, `validation/`) beside it, or `CLASS/*` alone: then a tenth
    of each class, chosen by `seed`, is the test split. Classes are numbered in the order of their names. All images
    are read as RGB; sizes may differ.

    Args:
        folder: the folder above.
        seed: chooses the test images where there is no folder of them.

    Returns:
        The source, named like the folder.

    Raises:
        InputError: no class, a class without images, a file that is not named like an image, test classes that are
            not training classes, or nothing left for testing.
    """
    below = {path.name.lower(): path for path in _visible(folder) if path.is_dir()}
    if "train" in below:
        tests = [below[name] for name in _TEST_NAMES if name in below]
        if not tests:
            raise InputError(f"Beside train/ there must be {'/, '.join(_TEST_NAMES)}/. Received: {folder}")
        class_names, train = _classes(below["train"])
        test_names, found = _classes(tests[0])
        unknown = sorted(set(test_names) - set(class_names))
        if unknown:
            raise InputError(f"Classes of {tests[0].name}/ must be classes of train/. Received: {unknown} in {folder}")
        test = [found[test_names.index(name)] if name in test_names else [] for name in class_names]
    else:
        class_names, files = _classes(folder)
        random = np.random.RandomState(seed)  # the legacy generator, because its stream will never change
        train, test = [], []
        for paths in files:
            order = random.permutation(len(paths))
            held_out = max(round(len(paths) * _TEST_SHARE), 1) if len(paths) > 1 else 0
            test.append([paths[index] for index in sorted(order[:held_out])])
            train.append([paths[index] for index in sorted(order[held_out:])])
        if not any(test):
            raise InputError(f"Some class needs two images, so that one is left for testing. Received: {folder}")
    return Source(folder.name, class_names, (None, None, 3), {"train": _files(train), "test": _files(test)})


def _visible(folder):
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder cannot be read ({error.strerror}). Received: {folder}") from error
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in _IGNORED]


def _classes(folder):
    """Names of the sub-folders, and the sorted image files of each."""
    class_folders = [path for path in _visible(folder) if path.is_dir()]
    if not class_folders:
        rule = "A folder of images must hold one sub-folder per class, or train/ and test/, or IDX files"
        raise InputError(f"{rule}. Received: {folder}")
    files = []
    for class_folder in class_folders:
        paths = [path for path in _visible(class_folder) if not path.is_dir()]
        if not paths:
            raise InputError(f"Every class must have images. Received: {class_folder}, which has none")
        for path in paths:
            if path.suffix.lower() not in FORMATS:
                raise InputError(f"Images must be files named {', '.join(FORMATS)}. Received: {path}")
        files.append([os.fspath(path) for path in paths])
    return tuple(path.name for path in class_folders), files


def _files(by_class):
    counts = [len(paths) for paths in by_class]
    return Files([path for paths in by_class for path in paths], np.repeat(np.arange(len(counts)), counts))
