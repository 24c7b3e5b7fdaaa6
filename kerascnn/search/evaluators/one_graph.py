"""Networks of two small cells, of which all are trained in one graph that is traced once: for tables of whole spaces.

Tracing takes longer than training such a network, so the graph is told which operations to choose.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn import _check
from kerascnn.search.records import Result

if TYPE_CHECKING:
    from kerascnn.cells import Genotype

OPERATIONS = ("identity", "conv_1x1", "conv_3x3", "max_3x3", "avg_3x3")  # a convolution is followed by a ReLU
_KERNELS = {"conv_1x1": 1, "conv_3x3": 3}


class OneGraph:
    """Trains 3x3 convolution, cell, 2x2 maximum, cell, dense with Adam; no batch norm.

    The two cells are the genotype's normal one, with weights of their own. A node is the sum of its two terms; the
    nodes that are put out are joined by a 1x1 convolution and a ReLU. Of the training and validation parts of a data
    set, those images are held out whose hash, that of `kerascnn.data.parts`, is below `share`: all of the validation
    part, and more than it where the share is more than a tenth. The test part is never seen.

    Args:
        data: name of a set of small images, for `kerascnn.data.load`.
        operations: of `OPERATIONS`.
        nodes: of a cell at most.
        filters: of all convolutions.
        epochs: of a training whose budget is None.
        batch_size: images a step.
        learning_rate: the peak; falls to 0 as a cosine.
        share: of the images, held out to be measured on, from 0.1 on.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        data: str = "digits",
        operations: Sequence[str] = ("identity", "conv_3x3", "max_3x3"),
        nodes: int = 2,
        *,
        filters: int = 8,
        epochs: int = 4,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        share: float = 0.5,
    ):
        self.data = data
        self.operations = tuple(_check.one_of("operations", each, OPERATIONS) for each in operations)
        self.nodes, self.filters = _check.whole("nodes", nodes, 1, 8), _check.whole("filters", filters, 1)
        self.epochs, self.batch_size = _check.whole("epochs", epochs, 1), _check.whole("batch_size", batch_size, 1)
        self.learning_rate = _check.real("learning_rate", learning_rate, 0.0, above=True)
        self.share = _check.real("share", share, 0.1, 1.0, below=True)
        self._graph: Any = None

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one evaluator from another."""
        names = ("data", "operations", "nodes", "filters", "epochs", "batch_size", "learning_rate", "share")
        return {name: list(v) if isinstance(v := getattr(self, name), tuple) else v for name in names}

    def __getstate__(self):
        return {**vars(self), "_graph": None}

    def __call__(self, candidate: "Genotype", budget: float | None, seed: int) -> Result:
        """Trains a network.

        Args:
            candidate: a genotype with at most `nodes` nodes of two terms of the operations.
            budget: epochs; None: `epochs`.
            seed: of the first weights and of the order of the images.

        Returns:
            The accuracy on the held-out images, their loss, and the parameters that the network has.

        Raises:
            InputError: the genotype is another.
        """
        choices, used = self.encode(candidate)
        epochs = self.epochs if budget is None else max(1, round(budget))
        accuracy, loss = self._made().train(choices, used, epochs, seed)
        cost = {"parameters": self.parameters(candidate)}
        return Result(accuracy, {"accuracy": accuracy, "loss": loss}, cost)

    def encode(self, candidate: "Genotype") -> tuple[np.ndarray, np.ndarray]:
        """What the graph is told of a genotype.

        Args:
            candidate: the genotype.

        Returns:
            int32 [2 nodes], of each term its source times the operations plus its operation; float32 [nodes], 1 where a
            node is put out.

        Raises:
            InputError: it does not fit.
        """
        cell = getattr(candidate, "normal", None)
        nodes, names = getattr(cell, "nodes", ()), ["c2", "c1", *(f"n{i + 1}" for i in range(self.nodes))]
        fit = 1 <= len(nodes) <= self.nodes and not {"c1", "c2"} & set(cell.concat)
        fit = fit and all(len(node) == 2 and all(t.operation in self.operations for t in node) for node in nodes)
        if not fit:
            rule = f"a genotype of at most {self.nodes} sums of two of {', '.join(self.operations)}"
            raise _check.refuse("candidate", rule, candidate)
        count, choices = len(self.operations), np.zeros(2 * self.nodes, "int32")
        for place, term in enumerate(term for node in nodes for term in node):
            choices[place] = names.index(term.source) * count + self.operations.index(term.operation)
        return choices, np.array([name in cell.concat for name in names[2:]], "float32")

    def parameters(self, candidate: "Genotype") -> int:
        """How many parameters a network has: those of operations that are not chosen do not count.

        Args:
            candidate: the genotype.
        """
        f, graph = self.filters, self._made()
        own = sum(_KERNELS[t.operation] ** 2 * f * f + f for node in candidate.normal.nodes for t in node
                  if t.operation in _KERNELS)  # fmt: skip
        own += len(candidate.normal.concat) * f * f + f  # what joins them
        return 9 * graph.shape[-1] * f + f + 2 * own + (graph.pixels * f + 1) * graph.classes

    def _made(self) -> "_Graph":
        if self._graph is None:
            self._graph = _Graph(self)
        return self._graph


class _Graph:
    """The images, the weights in one vector, and the two functions of TensorFlow."""

    def __init__(self, told: OneGraph):
        import tensorflow as tf

        from kerascnn import data

        self.told, self.tf = told, tf
        source = data.load(told.data)
        self.shape, self.classes = source.image_shape, len(source.class_names)
        splits = [source.split(part) for part in ("train", "validation")]
        held = np.array([data.parts.draw(name, "validation") < told.share for split in splits for name in split.names])
        pixels = np.concatenate([np.asarray(split.pixels) for split in splits]).astype("float32")
        labels = np.concatenate([np.asarray(split.numbers) for split in splits])
        mean, std = pixels[~held].mean(), pixels[~held].std()
        pixels = (pixels - mean) / std
        self.images = [(tf.constant(pixels[which]), tf.constant(labels[which])) for which in (~held, held)]
        self.count = int((~held).sum())
        self.pixels = -(-self.shape[0] // 2) * -(-self.shape[1] // 2)  # of the last map
        self.shapes: list[tuple[str, tuple[int, ...]]] = list(self._kernels())
        self.shapes += [(f"{name}_bias", shape[-1:]) for name, shape in self.shapes]
        self.ends = np.cumsum([0, *(int(np.prod(shape)) for _, shape in self.shapes)])
        self._fit, self._measure = tf.function(self._fit_graph), tf.function(self._measure_graph)

    def _kernels(self):
        f = self.told.filters
        yield "stem", (3, 3, self.shape[-1], f)
        for cell in range(2):
            for term in range(2 * self.told.nodes):
                for operation in self.told.operations:
                    if size := _KERNELS.get(operation):
                        yield f"{cell}_{term}_{operation}", (size, size, f, f)
            yield f"{cell}_join", (1, 1, self.told.nodes * f, f)
        yield "head", (self.pixels * f, self.classes)

    def initial(self, used: np.ndarray, seed: int) -> np.ndarray:
        """He's weights; the joining convolution's by the channels that it reads."""
        rng, parts = np.random.default_rng((seed, 0)), []
        for name, shape in self.shapes:
            fan = float(np.prod(shape[:-1])) * (used.mean() if name.endswith("join") else 1.0)
            scale = 0.0 if name.endswith("bias") else np.sqrt((1.0 if name == "head" else 2.0) / fan)
            parts.append(scale * rng.standard_normal(int(np.prod(shape))))
        return np.concatenate(parts).astype("float32")

    def train(self, choices, used, epochs: int, seed: int) -> tuple[float, float]:
        """Accuracy and loss on the held-out images."""
        rng, size = np.random.default_rng((seed, 1)), min(self.told.batch_size, self.count)
        steps = self.count // size
        batches = np.concatenate([rng.permutation(self.count)[: steps * size].reshape(steps, size)
                                  for _ in range(epochs)])  # fmt: skip
        flat = self._fit(self.initial(used, seed), choices, used, batches.astype("int32"))
        right, loss = self._measure(flat, choices, used)
        return float(right), float(loss)

    def logits(self, x, flat, choices, used):
        """Images -> logits, of the network that is chosen."""
        tf = self.tf
        weights = {name: tf.reshape(flat[first:end], shape) for (name, shape), first, end
                   in zip(self.shapes, self.ends, self.ends[1:], strict=False)}  # fmt: skip

        def convolve(x, name):
            return tf.nn.relu(tf.nn.conv2d(x, weights[name], 1, "SAME") + weights[f"{name}_bias"])

        def done(operation, x, name):
            if operation == "identity":
                return tf.identity(x)
            if operation in _KERNELS:
                return convolve(x, f"{name}_{operation}")
            return (tf.nn.max_pool2d if operation.startswith("max") else tf.nn.avg_pool2d)(x, 3, 1, "SAME")

        def apply(cell, c2, c1):
            values = [c2, c1]
            for node in range(self.told.nodes):
                terms = []
                for term in (2 * node, 2 * node + 1):
                    branches = [
                        lambda operation=operation, value=value, term=term: done(operation, value, f"{cell}_{term}")
                        for value in values
                        for operation in self.told.operations
                    ]
                    terms.append(tf.switch_case(choices[term], branches))
                values.append(terms[0] + terms[1])
            joined = [value * used[node] for node, value in enumerate(values[2:])]
            x = convolve(tf.concat(joined, -1), f"{cell}_join")
            mean, variance = tf.nn.moments(x, (1, 2, 3), keepdims=True)
            return (x - mean) * tf.math.rsqrt(variance + 1e-5)

        stem = convolve(x, "stem")
        one = apply(0, stem, stem)
        two = apply(1, *(tf.nn.max_pool2d(each, 2, 2, "SAME") for each in (stem, one)))
        return tf.reshape(two, (-1, weights["head"].shape[0])) @ weights["head"] + weights["head_bias"]

    def _fit_graph(self, flat, choices, used, batches):
        tf, (pixels, labels), total = self.tf, self.images[0], self.tf.shape(batches)[0]

        def step(i, flat, first, second):
            chosen, done = batches[i], tf.cast(i, tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(flat)
                logits = self.logits(tf.gather(pixels, chosen), flat, choices, used)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, chosen), logits)
                loss = tf.reduce_mean(loss)
            gradient = tape.gradient(loss, flat)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            rate = self.told.learning_rate * 0.5 * (1 + tf.cos(np.pi * done / tf.cast(total, tf.float32)))
            move = first / (1 - 0.9 ** (done + 1)) / (tf.sqrt(second / (1 - 0.999 ** (done + 1))) + 1e-7)
            return i + 1, flat - rate * move, first, second

        values = (0, flat, tf.zeros_like(flat), tf.zeros_like(flat))
        return tf.while_loop(lambda i, *_: i < total, step, values, parallel_iterations=1)[1]

    def _measure_graph(self, flat, choices, used):
        tf, (pixels, labels) = self.tf, self.images[1]
        logits = self.logits(pixels, flat, choices, used)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(tf.cast(tf.argmax(logits, -1) == labels, tf.float32)), tf.reduce_mean(loss)
