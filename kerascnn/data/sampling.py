"""Which examples an epoch has: each once, or each class equally often; and how many of each class there are."""

import concurrent.futures
import dataclasses

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE, PairArrays, PairFiles, read_mask
from kerascnn.data.source import Source
from kerascnn.data.splits import check_labels, cpu_constant

SAMPLING = ("shuffle", "balanced")
_BLOCK = 256  # masks read at a time


def class_counts(source: Source, part: str = "train") -> np.ndarray:
    """How many examples of each class a part has; for segmentation how many pixels.

    Labels of a set that is a stream, as those of TFDS, are read in one pass, without decoding images; masks are read as
    they are in their files, so that every pixel counts that is not IGNORE, before anything is fitted or cut off.

    Args:
        source: the set.
        part: "train", "validation" or "test".

    Returns:
        int64 [classes].

    Raises:
        InputError: there is no such part, a label is not of the classes, or a mask is damaged.

    Example:

        from kerascnn import data

        data.class_counts(data.load("digits"))
    """
    split, classes = source.split(part), len(source.class_names)
    if source.task == "segmentation":
        return sum(_of_mask(mask, classes) for mask in _masks(split))
    return np.bincount(labels_of(split, classes, f"the {part} split"), minlength=classes)


def labels_of(split, classes: int, where: str) -> np.ndarray:
    """The labels of a split in its order, int64; those of a stream are read.

    Args:
        split: of labeled images.
        classes: how many there are.
        where: what the split is called, for errors.

    Raises:
        InputError: a label is not of the classes.
    """
    found = getattr(split, "numbers", None)
    if found is None and hasattr(split, "labels"):
        found = split.labels.numpy()
    if found is None:
        stream = split.read().take(split.size).map(lambda image, label: label).batch(4096)
        found = np.concatenate(list(stream.as_numpy_iterator()))
    return check_labels(found, classes, where)


def _masks(split):
    if isinstance(split, PairArrays):
        yield split.masks
    elif isinstance(split, PairFiles):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for start in range(0, split.size, _BLOCK):
                yield from pool.map(read_mask, split.masks[start : start + _BLOCK])
    else:
        for _, mask in split.elements().take(split.size).as_numpy_iterator():
            yield mask


def _of_mask(mask, classes):
    return np.bincount(mask[mask != IGNORE].ravel(), minlength=classes).astype(np.int64)[:classes]


@dataclasses.dataclass(frozen=True, eq=False)
class Balanced:
    """Epochs in which each class is equally often, whatever it has; made by `of`.

    Of k classes each has floor(n / k) of the n examples of an epoch, or one more, which classes being drawn for each
    epoch. Of the images of a class none is taken twice before all were taken once: where the class has fewer than it
    needs, each image comes floor or ceil(needed / there) times; where it has more, each epoch draws which ones.
    """

    members: tf.Tensor  # int64 [size]: positions of the examples, class by class
    classes: tf.Tensor  # int64 [size]: the class of each of these
    starts: tf.Tensor  # int64 [classes]: where each class begins among them
    counts: tf.Tensor  # int64 [classes]

    @classmethod
    def of(cls, numbers: np.ndarray, class_names: tuple[str, ...]) -> "Balanced":
        """Of the labels of a split.

        Args:
            numbers: int64 [size], in the split's order.
            class_names: of the set.

        Raises:
            InputError: a class has no example.
        """
        counts = np.bincount(numbers, minlength=len(class_names)).astype(np.int64)
        refuse_absent(counts, class_names, "sampling=balanced")
        members = np.argsort(numbers, kind="stable")
        return cls(*map(cpu_constant, (members, numbers[members], np.cumsum(counts) - counts, counts)))

    def order(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """The positions of the examples of an epoch, int64 [count].

        Args:
            count: how many.
            seed: two integers.
        """
        seeds = tf.unstack(tf.random.split(seed, 3))
        size, classes = self.members.shape[0], self.counts.shape[0]
        # Grouped by class, each group in an order of its own: the whole part of a key is the class, the rest is drawn.
        draws = tf.random.stateless_uniform([size], seeds[0], dtype=tf.float64)
        members = tf.gather(self.members, tf.argsort(tf.cast(self.classes, tf.float64) + draws))
        # In rounds, in each of which every class gives its next one; the last round may be of some classes alone.
        turns = tf.range(count, dtype=tf.int64)
        numbers = tf.random.experimental.stateless_shuffle(tf.range(classes, dtype=tf.int64), seeds[1])
        chosen = tf.gather(numbers, turns % classes)
        places = tf.gather(self.starts, chosen) + (turns // classes) % tf.gather(self.counts, chosen)
        return tf.random.experimental.stateless_shuffle(tf.gather(members, places), seeds[2])

    def repeated(self, stream: tf.data.Dataset, order: tf.Tensor) -> tf.data.Dataset:
        """Each example of a stream as often as an epoch wants it, whatever order the stream has.

        Args:
            stream: (image, label) of every example once.
            order: see `order`; of it only how often the first, second ... of each class comes.

        Returns:
            As many examples as `order` has.
        """
        wanted = tf.math.unsorted_segment_sum(tf.ones_like(order), order, self.members.shape[0])
        wanted = tf.gather(wanted, self.members)

        def count(seen, example):
            label = example[-1]
            times = wanted[self.starts[label] + seen[label]]
            return tf.tensor_scatter_nd_add(seen, [[label]], [tf.constant(1, tf.int64)]), (example, times)

        def repeat(example, times):
            return tf.data.Dataset.from_tensors(example).repeat(times)

        counted = stream.scan(tf.zeros_like(self.counts), count)
        return counted.filter(lambda example, times: times > 0).flat_map(repeat)  # a filter is cheaper than no repeats


def refuse_absent(counts: np.ndarray, class_names: tuple[str, ...], what: str) -> None:
    """Refuses classes without an example, which nothing can balance.

    Args:
        counts: of each class.
        class_names: of the set.
        what: is to be balanced, for the error.

    Raises:
        InputError: there is such a class; names the first.
    """
    absent = np.flatnonzero(np.asarray(counts) == 0)
    if len(absent):
        rule = f"{what} needs training examples of every class"
        raise InputError(f"{rule}. Received: none of {class_names[absent[0]]!r} ({len(absent)} such classes)")
