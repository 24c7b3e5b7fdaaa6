"""Folders of image files, one sub-folder per class."""

import os
from pathlib import Path

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.source import Source
from kerascnn.data.splits import Files

TEST_NAMES = ("test", "val", "validation")
_IGNORED = ("thumbs.db", "desktop.ini")  # left behind by file managers, as are names that begin with a dot
TEST_SHARE = 0.1


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
    divided = train_and_test(folder)
    if divided:
        train_folder, test_folder = divided
        class_names, train = _classes(train_folder)
        test_names, found = _classes(test_folder)
        unknown = sorted(set(test_names) - set(class_names))
        if unknown:
            raise InputError(
                f"Classes of {test_folder.name}/ must be classes of train/. Received: {unknown} in {folder}"
            )
        test = [found[test_names.index(name)] if name in test_names else [] for name in class_names]
    else:
        class_names, files = _classes(folder)
        random = np.random.RandomState(seed)  # the legacy generator, because its stream will never change
        train, test = [], []
        for paths in files:
            kept, held_out = hold_out(len(paths), random)
            test.append([paths[index] for index in held_out])
            train.append([paths[index] for index in kept])
        if not any(test):
            raise InputError(f"Some class needs two images, so that one is left for testing. Received: {folder}")
    return Source(folder.name, class_names, (None, None, 3), {"train": _files(train), "test": _files(test)})


def visible(folder: Path) -> list[Path]:
    """The entries of a folder by name, without those that file managers hide or leave behind.

    Raises:
        InputError: it cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder cannot be read ({error.strerror}). Received: {folder}") from error
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in _IGNORED]


def train_and_test(folder: Path) -> tuple[Path, Path] | None:
    """The sub-folders for training and for testing; None where there is none for training.

    Raises:
        InputError: there is one for training only.
    """
    below = {path.name.lower(): path for path in visible(folder) if path.is_dir()}
    if "train" not in below:
        return None
    tests = [below[name] for name in TEST_NAMES if name in below]
    if not tests:
        raise InputError(f"Beside train/ there must be {'/, '.join(TEST_NAMES)}/. Received: {folder}")
    return below["train"], tests[0]


def hold_out(count: int, random: np.random.RandomState) -> tuple[list[int], list[int]]:
    """Which of `count` examples are for training, and which tenth (one at least of two or more) for testing."""
    order = random.permutation(count)
    held_out = max(round(count * TEST_SHARE), 1) if count > 1 else 0
    return sorted(order[held_out:]), sorted(order[:held_out])


def _classes(folder):
    """Names of the sub-folders, and the sorted image files of each."""
    class_folders = [path for path in visible(folder) if path.is_dir()]
    if not class_folders:
        rule = "A folder of images must hold one sub-folder per class, or train/ and test/, or IDX files"
        raise InputError(f"{rule}. Received: {folder}")
    files = []
    for class_folder in class_folders:
        paths = [path for path in visible(class_folder) if not path.is_dir()]
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
