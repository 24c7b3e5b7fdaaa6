"""What predicts how good a candidate is: an ensemble of small networks, in NumPy.

Liu et al.: Progressive Neural Architecture Search, 2017, arXiv:1712.00559, section 4.2.
"""

import numpy as np
import numpy.typing as npt

from kerascnn import _check


class MLP:
    """Two hidden layers with ReLU and one number out; He's initial weights.

    Args:
        inputs: features of an example.
        hidden: width of each hidden layer.
        rng: draws the weights.

    Raises:
        InputError: a size is less than 1.
    """

    def __init__(self, inputs: int, hidden: int, rng: np.random.Generator):
        sizes = (_check.whole("inputs", inputs, 1), _check.whole("hidden", hidden, 1), hidden, 1)
        self.weights: list[np.ndarray] = []
        for size, width in zip(sizes, sizes[1:], strict=False):
            self.weights += [rng.normal(0, (2 / size) ** 0.5, (size, width)), np.zeros(width)]

    def predict(self, x: npt.ArrayLike) -> np.ndarray:
        """The outputs for features.

        Args:
            x: [n, inputs].

        Returns:
            float64 [n].
        """
        return self._forward(np.asarray(x, "float64"))[-1][:, 0]

    def _forward(self, x: np.ndarray) -> list[np.ndarray]:
        """The features and the outputs of each layer."""
        w1, b1, w2, b2, w3, b3 = self.weights
        first = np.maximum(x @ w1 + b1, 0)
        second = np.maximum(first @ w2 + b2, 0)
        return [x, first, second, second @ w3 + b3]

    def gradients(self, x: npt.ArrayLike, y: npt.ArrayLike) -> list[np.ndarray]:
        """Of the mean squared error, with respect to the weights.

        Args:
            x: [n, inputs].
            y: [n], what the outputs should be.

        Returns:
            An array for each of the weights.
        """
        layers = self._forward(np.asarray(x, "float64"))
        back = 2 * (layers[-1] - np.asarray(y, "float64")[:, None]) / len(layers[0])
        found: list[np.ndarray] = []
        for i in (2, 1, 0):
            found = [layers[i].T @ back, back.sum(0), *found]
            back = (back @ self.weights[2 * i].T) * (layers[i] > 0)
        return found

    def fit(self, x: npt.ArrayLike, y: npt.ArrayLike, steps: int, rate: float) -> None:
        """Takes steps of Adam, each on all examples.

        Args:
            x: [n, inputs].
            y: [n].
            steps: how many.
            rate: step size.
        """
        first = [np.zeros_like(weight) for weight in self.weights]
        second = [np.zeros_like(weight) for weight in self.weights]
        for step in range(1, steps + 1):
            for i, gradient in enumerate(self.gradients(x, y)):
                first[i] += 0.1 * (gradient - first[i])
                second[i] += 0.001 * (gradient**2 - second[i])
                scale = (second[i] / (1 - 0.999**step)) ** 0.5 + 1e-8
                self.weights[i] = self.weights[i] - rate * first[i] / (1 - 0.9**step) / scale


class Ensemble:
    """Networks each of which is trained on all examples but a part, another part each; the prediction is their mean.

    Args:
        inputs: features of an example.
        rng: draws weights and parts.
        members: networks, at least 2.
        hidden: width of their hidden layers.

    Raises:
        InputError: a number is out of range.
    """

    def __init__(self, inputs: int, rng: np.random.Generator, members: int = 5, hidden: int = 100):
        self._rng = rng
        self.members = [MLP(inputs, hidden, rng) for _ in range(_check.whole("members", members, 2))]
        self._mean, self._deviation = 0.0, 1.0

    def fit(self, x: npt.ArrayLike, y: npt.ArrayLike, steps: int = 200, rate: float = 0.01) -> None:
        """Goes on training all members.

        Args:
            x: features [n, inputs], at least as many as there are members.
            y: values [n].
            steps: of Adam.
            rate: step size.

        Raises:
            InputError: there are fewer examples than members.
        """
        x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
        if len(y) < len(self.members) or len(x) != len(y):
            raise _check.refuse("y", f"at least {len(self.members)} values, one for each example", y.tolist())
        self._mean, self._deviation = float(y.mean()), float(y.std()) or 1.0
        part = self._rng.permutation(len(y)) % len(self.members)
        for i, member in enumerate(self.members):
            member.fit(x[part != i], (y[part != i] - self._mean) / self._deviation, steps, rate)

    def predict(self, x: npt.ArrayLike) -> np.ndarray:
        """The mean of the members' predictions.

        Args:
            x: features [n, inputs].

        Returns:
            float64 [n], values.
        """
        return self._mean + self._deviation * np.mean([member.predict(x) for member in self.members], axis=0)
