"""Candidates as points of a space in which one can descend: encoder, predictor and decoder, in NumPy.

Luo, Tian, Qin, Chen, Liu: Neural Architecture Optimization, 2018, arXiv:1808.07233, section 3.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.strategies import recurrent
from kerascnn.search.strategies.adam import Adam

_LARGEST = 0.1  # first weights are uniform up to it
_CLIP = 5.0  # the largest norm of a step's gradient
_NEVER = -1e30  # logit of a token that the place does not have


class Point(NamedTuple):
    """Where n candidates are."""

    outputs: np.ndarray  # [n, length, units]: of the encoder, each a vector of length 1
    code: np.ndarray  # [n, units]: their mean, of length 1


class Latent:
    """An LSTM that encodes candidates, a small network that predicts how bad they are from their codes, and an LSTM
    that attends to the encoder's outputs and gives the tokens back.

    `weights` are all weights in one vector. Each place of a candidate has its own embeddings and its own softmax.

    Args:
        sizes: how many values each token has.
        rng: draws the first weights, and the batches.
        units: of both LSTMs.
        embedding: numbers that stand for a token.
        layers: of the predictor, before its last.
        hidden: width of those.

    Raises:
        InputError: a number is out of range.

    Example:

        import numpy as np
        from kerascnn.search.strategies import Latent

        latent = Latent((3, 3, 3), np.random.default_rng(0))
        every = list(np.ndindex(3, 3, 3))
        latent.fit(every, [sum(tokens) / 6 for tokens in every], steps=300)
        moved = latent.descend(latent.encode([(2, 1, 2)]), 20.0)
        latent.decode(moved)  # another candidate, of which less is expected
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rng: np.random.Generator,
        *,
        units: int = 32,
        embedding: int = 16,
        layers: int = 1,
        hidden: int = 64,
    ):
        self.sizes = tuple(_check.whole("a size", size, 1) for size in sizes)
        _check.whole("the number of sizes", len(self.sizes), 1)
        u, e = _check.whole("units", units, 1), _check.whole("embedding", embedding, 1)
        self.units, self.layers = u, _check.whole("layers", layers, 0)
        length, most, self._rng = len(self.sizes), max(self.sizes), rng
        self._shapes = {"read": (length, most, e), "feed": (length, most, e)}
        for part in ("encode", "decode"):
            self._shapes |= {f"{part}_input": (e, 4 * u), f"{part}_state": (u, 4 * u), f"{part}_bias": (4 * u,)}
        self._shapes |= {"mix": (2 * u, u), "choose": (length, u, most), "lean": (length, most)}
        widths = [u, *[_check.whole("hidden", hidden, 1)] * self.layers, 1]
        for layer in range(self.layers + 1):
            self._shapes |= {f"value{layer}": (widths[layer], widths[layer + 1]), f"shift{layer}": (widths[layer + 1],)}
        self.weights = rng.uniform(-_LARGEST, _LARGEST, sum(int(np.prod(s)) for s in self._shapes.values()))
        self._w = self._views(self.weights)
        self._mask = np.where(np.arange(most) < np.array(self.sizes)[:, None], 0.0, _NEVER)

    def _views(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        views, first = {}, 0
        for name, shape in self._shapes.items():
            end = first + int(np.prod(shape))
            views[name] = vector[first:end].reshape(shape)
            first = end
        return views

    def _lstm(self, part: str) -> tuple[np.ndarray, ...]:
        return self._w[f"{part}_input"], self._w[f"{part}_state"], self._w[f"{part}_bias"]

    def _tokens(self, candidates: npt.ArrayLike) -> np.ndarray:
        tokens = np.asarray(candidates)
        sound = tokens.ndim == 2 and tokens.shape[1] == len(self.sizes) and tokens.dtype.kind in "iu" and len(tokens)
        if not sound or (tokens < 0).any() or (tokens >= np.array(self.sizes)).any():
            raise _check.refuse("candidates", f"one or more of tokens less than {self.sizes}", candidates)
        return tokens

    def encode(self, candidates: npt.ArrayLike) -> Point:
        """Where candidates are.

        Args:
            candidates: tokens [n, length].

        Returns:
            The encoder's outputs and the codes.

        Raises:
            InputError: they are no candidates of these sizes.
        """
        outputs, _ = recurrent.normalized(self._encoded(self._tokens(candidates)).outputs)
        return _point(outputs)

    def _encoded(self, tokens: np.ndarray) -> recurrent.Run:
        zero = np.zeros((len(tokens), self.units))
        return recurrent.lstm(self._w["read"][np.arange(tokens.shape[1]), tokens], self._lstm("encode"), zero, zero)

    def _predictor(self, code: np.ndarray) -> list[np.ndarray]:
        """The code, the outputs of each layer, and the prediction [n, 1]."""
        found = [code]
        for layer in range(self.layers):
            found.append(np.tanh(found[-1] @ self._w[f"value{layer}"] + self._w[f"shift{layer}"]))
        last = found[-1] @ self._w[f"value{self.layers}"] + self._w[f"shift{self.layers}"]
        return [*found, recurrent.sigmoid(last)]

    def predict(self, point: Point) -> np.ndarray:
        """How bad candidates are expected to be.

        Args:
            point: where they are.

        Returns:
            float64 [n], from 0 to 1.
        """
        return self._predictor(point.code)[-1][:, 0]

    def _predictor_gradients(self, layers: list[np.ndarray], back: np.ndarray, found: dict[str, np.ndarray] | None):
        """From the gradient with respect to the predictions [n, 1] to that with respect to the codes; into `found`
        those with respect to the weights."""
        back = back * layers[-1] * (1 - layers[-1])
        for layer in reversed(range(self.layers + 1)):
            if found is not None:
                found[f"value{layer}"] += layers[layer].T @ back
                found[f"shift{layer}"] += back.sum(0)
            back = back @ self._w[f"value{layer}"].T
            back = back * (1 - layers[layer] ** 2) if layer else back
        return back

    def slope(self, point: Point) -> np.ndarray:
        """The gradient of each prediction with respect to the encoder's outputs.

        Args:
            point: where the candidates are.

        Returns:
            float64 [n, length, units].
        """
        layers = self._predictor(point.code)
        back = self._predictor_gradients(layers, np.ones_like(layers[-1]), None)
        return _code_gradient(point.outputs, back)

    def descend(self, point: Point, step: float) -> Point:
        """Moves candidates to where better ones are expected: against the slope, then to vectors of length 1 again.

        Args:
            point: where they are.
            step: how far; it multiplies the slope.

        Returns:
            Where they are then.
        """
        outputs, _ = recurrent.normalized(point.outputs - step * self.slope(point))
        return _point(outputs)

    def decode(self, point: Point) -> list[Tokens]:
        """The candidates at a place: token by token the likeliest.

        Args:
            point: n places.

        Returns:
            Tokens of each, within their sizes; a space may still refuse them.
        """
        h = c = point.code
        x, found = np.zeros((len(h), 1, self._shapes["feed"][2])), []
        for t in range(len(self.sizes)):
            run = recurrent.lstm(x, self._lstm("decode"), h, c)
            h, c = run.outputs[:, 0], run.c
            said = self._attend(run.outputs, point.outputs)[-1][:, 0]
            found.append((said @ self._w["choose"][t] + self._w["lean"][t] + self._mask[t]).argmax(-1))
            x = self._w["feed"][t, found[-1]][:, None]
        return [tuple(map(int, row)) for row in np.stack(found, 1)]

    def _attend(self, asked: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Attention [n, steps, length], what it reads joined to who asks, and what comes of it [n, steps, units]."""
        attention = recurrent.softmax(asked @ outputs.transpose(0, 2, 1))
        joined = np.concatenate([attention @ outputs, asked], -1)
        return attention, joined, np.tanh(joined @ self._w["mix"])

    def gradients(
        self, candidates: npt.ArrayLike, targets: npt.ArrayLike, trade: float = 0.8, decay: float = 1e-4
    ) -> tuple[float, np.ndarray]:
        """The loss, trade x squared error of the predictions + (1 - trade) x cross-entropy of the tokens, both means,
        + decay / 2 x the sum of the squared weights; and its gradient.

        Args:
            candidates: tokens [n, length].
            targets: [n], how bad they are, from 0 to 1.
            trade, decay: of the loss.

        Returns:
            The loss, and its gradient with respect to `weights`.

        Raises:
            InputError: they are no candidates of these sizes, or there are more or fewer targets.
        """
        tokens, wanted = self._tokens(candidates), np.asarray(targets, "float64")[:, None]
        if len(wanted) != len(tokens):
            raise _check.refuse("targets", f"{len(tokens)} numbers, one for each candidate", len(wanted))
        (count, length), places, w = tokens.shape, np.arange(tokens.shape[1]), self._w
        encoder = self._encoded(tokens)
        outputs, lengths = recurrent.normalized(encoder.outputs)
        code = _point(outputs).code
        layers = self._predictor(code)
        fed = np.zeros((count, length, w["feed"].shape[2]))
        fed[:, 1:] = w["feed"][places[:-1], tokens[:, :-1]]
        decoder = recurrent.lstm(fed, self._lstm("decode"), code, code)
        attention, joined, said = self._attend(decoder.outputs, outputs)
        chances = recurrent.softmax(np.einsum("ntu,tus->nts", said, w["choose"]) + w["lean"] + self._mask)
        right = np.arange(count)[:, None], places, tokens
        loss = trade * float(((layers[-1] - wanted) ** 2).mean()) + decay / 2 * float(self.weights @ self.weights)
        loss -= (1 - trade) * float(np.log(np.maximum(chances[right], 1e-300)).mean())

        vector = decay * self.weights
        found = self._views(vector)
        back = chances
        back[right] -= 1
        back *= (1 - trade) / (count * length)
        found["choose"] += np.einsum("ntu,nts->tus", said, back)
        found["lean"] += back.sum(0)
        back = np.einsum("nts,tus->ntu", back, w["choose"]) * (1 - said**2)
        found["mix"] += joined.reshape(-1, joined.shape[-1]).T @ back.reshape(-1, self.units)
        back = back @ w["mix"].T
        read, asked = back[..., : self.units], back[..., self.units :]
        weighted = read @ outputs.transpose(0, 2, 1)
        scores = attention * (weighted - (weighted * attention).sum(-1, keepdims=True))
        reached = attention.transpose(0, 2, 1) @ read + scores.transpose(0, 2, 1) @ decoder.outputs
        fed_back, own, dh, dc = recurrent.lstm_gradients(decoder, self._lstm("decode"), asked + scores @ outputs)
        self._add(found, "decode", own)
        np.add.at(found["feed"], (places[:-1], tokens[:, :-1]), fed_back[:, 1:])
        codes = dh + dc + self._predictor_gradients(layers, 2 * trade / count * (layers[-1] - wanted), found)
        reached = recurrent.normalized_gradient(outputs, lengths, reached + _code_gradient(outputs, codes))
        read_back, own, _, _ = recurrent.lstm_gradients(encoder, self._lstm("encode"), reached)
        self._add(found, "encode", own)
        np.add.at(found["read"], (places, tokens), read_back)
        return loss, vector

    def _add(self, found: dict[str, np.ndarray], part: str, gradients: Sequence[np.ndarray]) -> None:
        for name, gradient in zip(("input", "state", "bias"), gradients, strict=True):
            found[f"{part}_{name}"] += gradient

    def fit(
        self,
        candidates: npt.ArrayLike,
        targets: npt.ArrayLike,
        *,
        steps: int = 300,
        rate: float = 0.01,
        batch: int = 50,
        trade: float = 0.8,
        decay: float = 1e-4,
        twin: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> float:
        """Takes steps of Adam, each on candidates drawn anew.

        Args:
            candidates: tokens [n, length].
            targets: [n], how bad they are, from 0 to 1.
            steps: how many.
            rate: step size.
            batch: candidates of a step.
            trade, decay: as in `gradients`.
            twin: gives other tokens [batch, length] of the same networks.

        Returns:
            The mean loss of the last tenth of the steps.

        Raises:
            InputError: as `gradients`, or a number is out of range.
        """
        tokens, targets = self._tokens(candidates), np.asarray(targets, "float64")
        _check.whole("steps", steps, 1)
        adam, losses = Adam(_check.real("rate", rate, 0.0, above=True), len(self.weights)), []
        for _ in range(steps):
            chosen = self._rng.permutation(len(tokens))[: _check.whole("batch", batch, 1)]
            some = tokens[chosen] if twin is None else twin(tokens[chosen])
            loss, gradient = self.gradients(some, targets[chosen], trade, decay)
            losses.append(loss)
            adam.climb(self.weights, -gradient * min(1.0, _CLIP / max(float(np.linalg.norm(gradient)), 1e-300)))
        return float(np.mean(losses[-max(1, steps // 10) :]))


def _point(outputs: np.ndarray) -> Point:
    return Point(outputs, recurrent.normalized(outputs.mean(1))[0])


def _code_gradient(outputs: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """From the gradient with respect to the codes to that with respect to the outputs, of which they are the mean."""
    code, length = recurrent.normalized(outputs.mean(1))
    back = recurrent.normalized_gradient(code, length, codes) / outputs.shape[1]
    return np.repeat(back[:, None], outputs.shape[1], 1)
