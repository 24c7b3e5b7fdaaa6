"""What a training pipeline does in each epoch, whatever its labels are: the order and the draws, from (seed, epoch)."""

import dataclasses
import functools

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.augment import images as changes

SHUFFLE_BUFFER = 10_000  # encoded images; only for streams that are too large to be kept


@dataclasses.dataclass(frozen=True)
class Epochs:
    """Epochs `first` to `last - 1` of a split of `size` examples, in batches of which the remainder is dropped."""

    size: int
    batch_size: int
    seed: int
    first: int
    last: int

    @classmethod
    def of(cls, size: int, batch_size: int, seed: int, first: int, last: int) -> "Epochs":
        """Checks the numbers; a set that is smaller than one batch makes one batch of its own size.

        Raises:
            InputError: no example a batch, or no epoch.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1. Received: {batch_size}")
        if not 0 <= first < last:
            rule = "first_epoch must be from 0 to epochs - 1"
            raise InputError(f"{rule}. Received: first_epoch={first}, epochs={last}")
        return cls(size, min(batch_size, size), seed, first, last)

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
        order = tf.random.experimental.stateless_shuffle(tf.range(self.size, dtype=tf.int64), order_seed)
        seeds = tf.random.stateless_uniform([used, 2], example_seed, None, None, tf.int64)
        return order[:used], seeds

    def finished(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The batches of all epochs, with their number known, prefetched and in a fixed order."""
        return finished(batches, self.steps * (self.last - self.first))


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
