"""A set of labelled images: what it is called, what its classes are, what its labels are, and its two splits."""

import concurrent.futures
import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data import masks
from kerascnn.data.preprocessing import read_image
from kerascnn.data.splits import Files, Split

SPLITS = ("train", "test")
_BLOCK = 256  # files checked before the first error among them is reported


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A set of labelled images (or, by `task`, of images with masks) with a train and a test split; made by `load`."""

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int | None, int | None, int]  # height and width are None where they differ or are not known
    splits: Mapping[str, Split | masks.Split] = dataclasses.field(repr=False)
    task: str = "classification"  # or "segmentation": a mask of classes belongs to each image instead of a label

    def __post_init__(self):
        for name in SPLITS:
            if self.splits[name].size < 1:
                raise InputError(f"The {name} split of a data set must not be empty. Received: {self.name!r}")

    @property
    def sizes(self) -> dict[str, int]:
        """Number of examples of each split."""
        return {name: split.size for name, split in self.splits.items()}

    def split(self, name: str) -> Split | masks.Split:
        """Where the examples of "train" or "test" are.

        Raises:
            InputError: there is no such split.
        """
        if name not in self.splits:
            raise InputError(f"split must be one of {SPLITS}. Received: {name!r}")
        return self.splits[name]

    def dataset(self, split: str) -> tf.data.Dataset:
        """(uint8 image [height, width, channels], int64 label) of every example, in a fixed order; for segmentation a
        uint8 mask [height, width] instead of the label.

        Args:
            split: "train" or "test".

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
    """Reads every image file and every mask of a set; other sets have nothing to check.

    Args:
        source: the set.

    Raises:
        InputError: a file cannot be decoded, or a mask does not fit its image or the classes; the message names the
            first, in the order of the set.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for split in source.splits.values():
            if source.task == "segmentation":
                split.check(pool.map)
                continue
            paths = split.paths if isinstance(split, Files) else []
            for start in range(0, len(paths), _BLOCK):
                list(pool.map(_check_image, paths[start : start + _BLOCK]))


def _check_image(path):
    read_image(path)  # the pixels are dropped here, so that a large set does not fill the memory
