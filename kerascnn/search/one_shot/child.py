"""Weights that drawn architectures share: how they learn, one architecture a batch, and how architectures are ranked.

Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268,
section 2.2.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import data
from kerascnn.search.one_shot.config import SharedConfig
from kerascnn.search.one_shot.images import Images, Prepare
from kerascnn.search.one_shot.macro import MacroSupernet
from kerascnn.search.one_shot.shared import SharedWeights, Visit
from kerascnn.search.one_shot.steps import Momentum
from kerascnn.search.one_shot.supernet import Supernet
from kerascnn.search.records import Tokens
from kerascnn.search.spaces import Chain, TokenSpace

Batch = tuple[Any, Any]  # prepared images, labels
Ranked = list[tuple[float, Tokens]]  # accuracies and architectures, the best first


def drawn_gradients(supernet: SharedWeights, choice: Any, images: Any, labels: Any):
    """The gradient of the loss of one architecture.

    Args:
        supernet: the weights.
        choice: the architecture.
        images: float32 [batch, height, width, channels].
        labels: int64 [batch].

    Returns:
        The loss, the variables of the places that were computed, and their gradients; no others are touched.

    Raises:
        InputError: the supernet has no such architecture.
    """
    visits: list[Visit] = []
    with tf.GradientTape() as tape:
        logits = supernet.logits(images, choice, visits=visits)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    variables = supernet.weights_of(list(dict.fromkeys(visit.place for visit in visits)))
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return loss, variables, [tf.convert_to_tensor(gradient) for gradient in gradients]


def accuracy(supernet: SharedWeights, choice: Any, batches: Sequence[Batch]) -> float:
    """Of an architecture; each batch is normalized by its own statistics.

    Args:
        supernet: the weights.
        choice: the architecture.
        batches: what it is measured on.

    Returns:
        The mean over the batches.
    """
    found = [tf.argmax(supernet.logits(images, choice), -1) == labels for images, labels in batches]
    return float(np.mean([float(tf.reduce_mean(tf.cast(right, tf.float32))) for right in found]))


def judging(images: Images, prepare: Prepare, config: Any, seed: int) -> list[Batch]:
    """The batches that architectures are ranked on, the same for all.

    Args:
        images: that no weight has seen.
        prepare: what is done to them.
        config: `batch_size` and `final_batches` are used.
        seed: of the search.

    Returns:
        At most `final_batches` of them.
    """
    batches = images.batches(config.batch_size, (seed, 9))
    return [(prepare(pixels), labels) for pixels, labels in itertools.islice(batches, config.final_batches)]


def ranking(
    supernet: SharedWeights, space: TokenSpace, candidates: Iterable[Tokens], batches: Sequence[Batch]
) -> Ranked:
    """Architectures by their accuracies.

    Args:
        supernet: the weights.
        space: of the candidates.
        candidates: what is ranked, each once.
        batches: what they are measured on.

    Returns:
        The best first; equals in the order of their tokens.
    """
    found = [(accuracy(supernet, space.decode(each), batches), each) for each in dict.fromkeys(candidates)]
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


class Child:
    """The supernet of a space of cells or of chains, and the rule by which it learns.

    Args:
        space: `Blocks`, another space of cells, or `Chain`.
        source: labeled images of one size.
        config: how it learns.
        seed: of everything that is random.

    Raises:
        InputError: the space has no supernet.
    """

    def __init__(self, space: TokenSpace, source: data.Source, config: SharedConfig, seed: int):
        self.space, self.config, self.seed = space, config, seed
        options = {"filters": config.filters, "input_shape": source.image_shape, "seed": seed}
        options["classes"] = len(source.class_names)
        if isinstance(space, Chain):
            self.net: SharedWeights = MacroSupernet(space, **options)
        else:
            self.net = Supernet.of(space, stages=config.stages, **options)
        weights = self.net.weights_of()
        self.steps = Momentum(weights, momentum=config.momentum, decay=config.decay, clip=config.clip, nesterov=True)
        self.state = [*weights, *self.steps.buffers]

    def batches_of(self, images: Images) -> int:
        """How many batches an epoch has.

        Args:
            images: that the weights learn from.

        Returns:
            At least one.
        """
        return max(1, len(images.labels) // self.config.batch_size)

    def learn(self, drawn: Sequence[Tokens], images: Images, prepare: Prepare, epoch: int) -> float:
        """An epoch: each batch goes through an architecture of its own.

        Args:
            drawn: the architectures, one a batch.
            images: all of them.
            prepare: what is done to them.
            epoch: counted from 0.

        Returns:
            The mean loss.
        """
        losses, count = [], self.batches_of(images)
        for number, (pixels, labels) in enumerate(images.batches(self.config.batch_size, (self.seed, 2, epoch))):
            x = prepare(pixels, (self.seed, epoch * 100_000 + number))
            loss, variables, gradients = drawn_gradients(self.net, self.space.decode(drawn[number]), x, labels)
            self.steps.apply(gradients, variables, self.config.rate_at(epoch + number / count))
            losses.append(loss)
        return float(np.mean(losses))

    def accuracy(self, tokens: Tokens, pixels: Any, labels: Any) -> float:
        """Of an architecture on a batch, by whose statistics it is normalized.

        Args:
            tokens: the architecture.
            pixels: prepared images.
            labels: int64 [batch].

        Returns:
            From 0 to 1.
        """
        return accuracy(self.net, self.space.decode(tokens), [(pixels, labels)])

    def ranked(self, candidates: Iterable[Tokens], images: Images, prepare: Prepare) -> Ranked:
        """Architectures by their accuracies, all on the same batches.

        Args:
            candidates: what is ranked, each once.
            images: that no weight has seen.
            prepare: what is done to them.

        Returns:
            The best first.
        """
        return ranking(self.net, self.space, candidates, judging(images, prepare, self.config, self.seed))
