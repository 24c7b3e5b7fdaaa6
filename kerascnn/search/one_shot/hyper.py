"""A hypernetwork: a network that generates the weights of another from a description of its architecture.

Brock, Lim, Ritchie, Weston: SMASH: One-Shot Model Architecture Search through HyperNetworks, 2017, arXiv:1708.05344,
section 3.2; constants as released (ajbrock/SMASH).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn.search.records import Tokens
from kerascnn.search.spaces import Banks

_SLOPE = 0.02  # of the leaky ReLU


def description(space: Banks, tokens: Tokens) -> np.ndarray:
    """An architecture as a map: a row a layer, a column a bank.

    Args:
        space: of the candidate.
        tokens: the candidate.

    Returns:
        float32 [layers of all blocks, banks, features]: whether the bank is read (and not empty), whether it is
        written, whether it was empty before, which layer this is, and what each of its fields is.

    Raises:
        InputError: it is no candidate.
    """
    blocks, rows, count = space.decode(tokens), [], space.blocks * space.layers
    for block in blocks:
        filled = {0}
        for layer in block:
            values = space.row.encode(layer.values)
            chosen = [float(i == value) for value, size in zip(values, space.row.sizes, strict=True)
                      for i in range(size)]  # fmt: skip
            number = [float(i == len(rows)) for i in range(count)]
            rows.append([
                [float(bank in layer.reads and bank in filled), float(bank in layer.writes), float(bank not in filled),
                 *number, *chosen]
                for bank in range(space.banks)
            ])  # fmt: skip
            filled |= set(layer.writes)
    return np.array(rows, "float32")


class Hypernetwork:
    """Densely connected 3x3 convolutions over the map of an architecture, and for each block a 1x1 convolution whose
    outputs at a row and a column are the kernel by which that layer reads that bank. All have weight norm.

    Departures: the weights follow from the architecture alone, without noise.

    Args:
        space: of the architectures.
        widths: channels of a bank in each block.
        growth: channels that each convolution adds.
        depth: convolutions before the last.
    """

    def __init__(self, space: Banks, widths: Sequence[int], growth: int, depth: int):
        self._space, self._widths, self._depth = space, tuple(widths), depth
        channels = 3 + space.blocks * space.layers + sum(space.row.sizes)
        self.shapes: list[tuple[int, ...]] = []
        for _ in range(depth):
            self.shapes += [(3, 3, channels, growth), (growth,), (growth,)]
            channels += growth
        for width in widths:
            self.shapes += [(1, 1, channels, width * width), (width * width,), (width * width,)]
        self._function = tf.function(self._generate, autograph=False)

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """First values: directions are normal, lengths 1, shifts 0.

        Args:
            rng: draws.

        Returns:
            Arrays of the shapes `shapes`.
        """
        found = []
        for number, shape in enumerate(self.shapes):
            made = (lambda s: rng.normal(0, 1, s), np.ones, np.zeros)[number % 3]
            found.append(made(shape).astype("float32"))
        return found

    def __call__(self, architecture: np.ndarray, weights: Sequence[Any]) -> list[tf.Tensor]:
        """Generates kernels.

        Args:
            architecture: what `description` gives.
            weights: tensors or variables of the shapes `shapes`.

        Returns:
            Of each block [layers, banks, channels, channels].
        """
        return self._function(tf.constant(architecture), [tf.convert_to_tensor(weight) for weight in weights])

    def _generate(self, architecture, weights):
        x, layers = architecture[None], [weights[i : i + 3] for i in range(0, len(weights), 3)]
        for layer in layers[: self._depth]:
            grown = _convolved(x, *layer)
            x = tf.concat([x, tf.maximum(grown, _SLOPE * grown)], -1)
        found, count = [], self._space.layers
        for block, (layer, width) in enumerate(zip(layers[self._depth :], self._widths, strict=True)):
            rows = _convolved(x[:, block * count : (block + 1) * count], *layer)
            found.append(tf.reshape(rows, [count, self._space.banks, width, width]))
        return found


def _convolved(x, direction, length, shift):
    kernel = length * direction / (tf.sqrt(tf.reduce_sum(direction**2, [0, 1, 2])) + 1e-12)
    return tf.nn.conv2d(x, kernel, 1, "SAME") + shift


def kernel_of(generated: tf.Tensor, banks: Sequence[int]) -> tf.Tensor:
    """The kernel by which a layer reads some banks.

    Args:
        generated: of the layer [banks, channels, channels].
        banks: that are read and not empty.

    Returns:
        float32 [1, 1, banks read x channels, channels]; its squares add up to twice the channels, as He's initial
        weights do in the mean.
    """
    width = generated.shape[-1]
    kernel = tf.reshape(tf.gather(generated, list(banks)), [1, 1, len(banks) * width, width])
    return kernel * ((2 * width) ** 0.5 / (tf.norm(kernel) + 1e-12))
