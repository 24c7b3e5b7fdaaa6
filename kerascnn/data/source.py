"""A set of labeled images: what it is called, what its classes are, what its labels are, and its three parts."""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data import masks, parts
from kerascnn.data.preprocessing import read_image
from kerascnn.data.splits import Files, Split, Stream

SPLITS = parts.PARTS
_BLOCK = 256  # files checked before the first error among them is reported


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A set of labeled images (or, by `task`, of images with masks) with a part each for training, validation and
    testing; made by `load`.

    Of the parts "train", "validation" and "test" only "train" must be given: the others are held out of it where they
    are missing, by the rule in `kerascnn.data.parts`. No example of "test" chooses anything, anywhere.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int | None, int | None, int]  # height and width are None where they differ or are not known
    splits: Mapping[str, Split | masks.Split] = dataclasses.field(repr=False)
    task: str = "classification"  # or "segmentation": a mask of classes belongs to each image instead of a label
    mirrored: bool = True  # whether an image means the same when left and right are exchanged; a digit does not
    location: Mapping[str, str | None] | None = None  # "name" and "data_dir" with which `load` finds the set again

    def __post_init__(self):
        object.__setattr__(self, "splits", parts.divide(self.splits, self.name))

    @property
    def sizes(self) -> dict[str, int]:
        """Number of examples of each split."""
        return {name: split.size for name, split in self.splits.items()}

    @functools.cached_property
    def fingerprint(self) -> dict[str, str]:
        """A digest of each split: which examples it holds, by name, and their labels where these are at hand."""
        return {name: parts.digest(split.names, getattr(split, "numbers", None)) for name, split in self.splits.items()}

    def record(self) -> dict[str, Any]:
        """Plain values for a JSON file: where `load` finds the set again, and what it held.

        Returns:
            "name" (of a folder the absolute path, however it was spelled), "data_dir" (absolute, or None), "sizes" and
            "fingerprint", each of these two by split.
        """
        found = self.location or {"name": self.name, "data_dir": None}
        return {**found, "sizes": self.sizes, "fingerprint": dict(self.fingerprint)}

    def changes(self, record: Mapping[str, Any]) -> list[str]:
        """What is no longer as it was recorded.

        Args:
            record: what `record` returned once; entries that are missing, as in files of older releases, are not
                compared.

        Returns:
            One phrase for each split that changed: "train had 54 examples, now 55".
        """
        changed = []
        for name in SPLITS:
            before, now = (record.get("sizes") or {}).get(name), self.sizes[name]
            digest = (record.get("fingerprint") or {}).get(name)
            if before is not None and before != now:
                changed.append(f"{name} had {before} examples, now {now}")
            elif digest is not None and digest != self.fingerprint[name]:
                changed.append(f"{name} has other examples, as many as before")
        return changed

    def split(self, name: str) -> Split | masks.Split:
        """Where the examples of "train", "validation" or "test" are.

        Raises:
            InputError: there is no such split.
        """
        if name not in self.splits:
            raise InputError(f"split must be one of {', '.join(SPLITS)}. Received: {name!r}")
        return self.splits[name]

    def dataset(self, split: str) -> tf.data.Dataset:
        """(uint8 image [height, width, channels], int64 label) of every example, in a fixed order; for segmentation a
        uint8 mask [height, width] instead of the label.

        Args:
            split: "train", "validation" or "test".

        Returns:
            An unbatched dataset; images may differ in size.

        Raises:
            InputError: there is no such split.
        """
        elements = self.split(split).elements()
        return elements.apply(tf.data.experimental.assert_cardinality(self.split(split).size))

    def take(self, count: int, seed: int = 0) -> "Source":
        """The same set with at most `count` examples in each split.

        Args:
            count: at least 1.
            seed: chooses the examples of a folder, whose files are sorted by class; of other sets the first are taken.

        Returns:
            A smaller source with the same classes.

        Raises:
            InputError: `count` is less than 1.
        """
        if count < 1:
            raise InputError(f"The number of examples must be at least 1. Received: {count}")
        splits = {name: split.first(count, seed) for name, split in self.splits.items()}
        return dataclasses.replace(self, splits=splits)


def explain(source: Source, error: Exception) -> Exception:
    """Turns an error that came out of iterating one of the pipelines into one that says what is wrong with the data.

    Decoding happens inside the tf.data graph, whose errors do not know the file. Callers therefore write

        try:
            model.fit(dataset)
        except tf.errors.OpError as error:
            raise data.explain(source, error) from error

    and nothing is lost in time while all is well; after a failure the files are read once more, eagerly, until the
    damaged one is found.

    Args:
        source: the set that was being read.
        error: what was raised.

    Returns:
        An `InputError` that names the first damaged file; `error` itself if the files are whole.
    """
    try:
        check_images(source)
    except InputError as found:
        return found
    return error


def check_images(source: Source) -> None:
    """Reads every image file and every mask of a set, packed ones too; other sets have nothing to check.

    Args:
        source: the set.

    Raises:
        InputError: a file cannot be decoded, or a mask does not fit its image or the classes; the message names the
            first, in the order of the set.
    """
    for split in source.splits.values():
        if source.task == "segmentation":
            with concurrent.futures.ThreadPoolExecutor() as pool:
                split.check(pool.map)
        elif isinstance(split, Stream):
            split.check()
        else:
            for _, error in _damaged(split):
                raise error


def damaged(source: Source) -> dict[str, list[tuple[str, str]]]:
    """Reads every image file of a set, and goes on where one is damaged.

    Args:
        source: labeled images.

    Returns:
        By part the name and what is wrong of each file that cannot be decoded, in the order of the set.

    Raises:
        InputError: the set has masks, or is packed, and is damaged; see `check_images`.

    Example:

        from kerascnn import data

        source = data.load("digits")
        data.damaged(source)  # {"train": [], "validation": [], "test": []}
    """
    if source.task == "segmentation" or any(isinstance(split, Stream) for split in source.splits.values()):
        check_images(source)
        return {part: [] for part in source.splits}
    return {
        part: [(split.names[place], str(error)) for place, error in _damaged(split)]
        for part, split in source.splits.items()
    }


def _damaged(split):
    """Place and error of each damaged file."""
    paths = split.paths if isinstance(split, Files) else []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _BLOCK):
            for place, error in enumerate(pool.map(_wrong, paths[start : start + _BLOCK]), start):
                if error is not None:
                    yield place, error


def _wrong(path) -> InputError | None:
    try:
        read_image(path)  # the pixels are dropped here, so that a large set does not fill the memory
    except InputError as error:
        return error
    return None
