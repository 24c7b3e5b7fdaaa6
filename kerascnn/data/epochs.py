"""What a training pipeline does in each epoch, whatever its labels are: the order and the draws, from (seed, epoch)."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.data.augment import images as changes
from kerascnn.data.sampling import Balanced

SHUFFLE_BUFFER = 10_000  # encoded images; only for streams that are too large to be kept


@dataclasses.dataclass(frozen=True)
class Share:
    """Which part of each batch is made here: `count` of `total` equal pieces, from piece `first` on.

    Raises:
        InputError: there are no such pieces.
    """

    first: int = 0
    count: int = 1
    total: int = 1

    def __post_init__(self):
        _check.whole("the pieces of a batch", self.total, 1)
        _check.whole("the first piece", self.first, 0, self.total - 1)
        _check.whole("the number of pieces", self.count, 1, self.total - self.first)

    @property
    def is_all(self) -> bool:
        """Whether batches stay whole."""
        return self.total == 1

    def bounds(self, rows: int) -> list[int]:
        """Where the pieces made here begin among the rows of a batch, and where the last ends."""
        return [rows * piece // self.total for piece in range(self.first, self.first + self.count + 1)]

    def pieces(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Each batch of known size as its pieces, one after the other."""
        if self.is_all:
            return batches
        rows = tf.nest.flatten(batches.element_spec)[0].shape[0]
        first, last = (bounds := self.bounds(rows))[0], bounds[-1]
        own = batches.map(lambda *batch: tf.nest.map_structure(lambda x: x[first:last], batch))
        return own.rebatch((last - first) // self.count, drop_remainder=True)


ALL = Share()


@dataclasses.dataclass(frozen=True)
class Epochs:
    """Epochs `first` to `last - 1` of a split of `size` examples, in batches of which the remainder is dropped."""

    size: int
    batch_size: int
    seed: int
    first: int
    last: int
    share: Share = ALL
    balanced: Balanced | None = None  # None: each example once

    @classmethod
    def of(cls, size: int, batch_size: int, seed: int, first: int, last: int, share: Share = ALL) -> "Epochs":
        """Checks the numbers; a set that is smaller than one batch makes one batch of its own size.

        Raises:
            InputError: no example a batch, no epoch, or a batch that cannot be divided into equal pieces.
        """
        batch_size = _check.whole("batch_size", batch_size, 1)
        if not 0 <= first < last:
            rule = "first_epoch must be from 0 to epochs - 1"
            raise InputError(f"{rule}. Received: first_epoch={first}, epochs={last}")
        batch_size = min(batch_size, size)
        if batch_size % share.total:
            raise InputError(
                f"A batch must be a multiple of its {share.total} pieces. Received: batch_size={batch_size}"
            )
        return cls(size, batch_size, seed, first, last, share)

    @property
    def piece(self) -> int:
        """Examples in a piece of a batch; in a batch, where it stays whole."""
        return self.batch_size // self.share.total

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.size // self.batch_size

    @functools.cached_property
    def numbers(self) -> tf.data.Dataset:
        """The numbers of the epochs."""
        return tf.data.Dataset.range(self.first, self.last)

    @functools.cached_property
    def _base(self):
        with tf.device("CPU:0"):
            return tf.random.fold_in(tf.constant([0x6B6572, 0x636E6E], tf.int64), self.seed)

    def draws(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The order of an epoch [steps * batch_size] and one seed per example [steps * batch_size, 2]."""
        used = self.steps * self.batch_size
        order_seed, example_seed = changes.split_seed(tf.random.fold_in(self._base, epoch), 2)
        if self.balanced is None:
            order = tf.random.experimental.stateless_shuffle(tf.range(self.size, dtype=tf.int64), order_seed)
        else:
            order = self.balanced.order(used, order_seed)
        seeds = tf.random.stateless_uniform([used, 2], example_seed, None, None, tf.int64)
        return order[:used], seeds

    def own(self, order: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What of the `draws` of an epoch belongs to the pieces that are made here, in the same order."""
        if self.share.is_all:
            return order, seeds
        first, *_, last = self.share.bounds(self.batch_size)
        return (
            tf.reshape(tf.reshape(order, [self.steps, self.batch_size])[:, first:last], [-1]),
            tf.reshape(tf.reshape(seeds, [self.steps, self.batch_size, 2])[:, first:last], [-1, 2]),
        )

    def stream(self, read: Callable[[tf.Tensor], tf.data.Dataset], epoch: tf.Tensor) -> tf.data.Dataset:
        """An epoch of a stream, with the seed of each example at its end; see `shuffled_stream`.

        Args:
            read: of two integers, drawn for the epoch: the examples, each once.
            epoch: its number.
        """
        order, seeds = self.draws(epoch)
        examples = read(seeds[0])
        if self.balanced is not None:
            examples = self.balanced.repeated(examples, order)
        return shuffled_stream(examples, order, seeds)

    def own_stream(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        """The same of a stream of the examples of an epoch."""
        if self.share.is_all:
            return examples
        first, *_, last = self.share.bounds(self.batch_size)

        def mine(position, _):
            return (first <= position % self.batch_size) & (position % self.batch_size < last)

        return examples.enumerate().filter(mine).map(lambda _, example: example)

    def finished(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The batches (or pieces) of all epochs, with their number known, prefetched and in a fixed order."""
        return finished(batches, self.steps * (self.last - self.first) * self.share.count)


def finished(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Batches of a known number, prefetched, deterministic, to be shared among devices by example.

    Nothing before may be a `Dataset.cache()`: Keras starts iterators that it gives up after a batch, and TensorFlow
    takes what such a one has read for all there is (seen in 2.21: now and then a pass ends early).
    """
    options = tf.data.Options()
    options.deterministic = True
    # Nothing here is read from files that could be dealt out to several workers; without this TensorFlow warns.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def shuffled_stream(stream: tf.data.Dataset, order: tf.Tensor, seeds: tf.Tensor) -> tf.data.Dataset:
    """An epoch of a stream: as many examples as `order` has, through a buffer, each with its seed at the end."""
    # Dataset.shuffle would mix the global seed in, and so differ between a run and its continuation.
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(stream),
        buffer_size=SHUFFLE_BUFFER,
        seed=seeds[0, 0],
        seed2=seeds[0, 1],
        output_types=[spec.dtype for spec in stream.element_spec],
        output_shapes=[spec.shape for spec in stream.element_spec],
        reshuffle_each_iteration=False,
    )
    examples = tf.data.experimental.from_variant(shuffled, stream.element_spec).take(order.shape[0])
    return tf.data.Dataset.zip(examples, tf.data.Dataset.from_tensor_slices(seeds)).map(
        lambda example, seed: (*example, seed)
    )
