"""A distribution over candidates whose tokens depend on those before: an LSTM, with its gradient written out.

Hochreiter, Schmidhuber: Long Short-Term Memory, 1997, doi.org/10.1162/neco.1997.9.8.1735, with forget gates; as a
controller: Zoph, Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578, section 3.
"""

from collections.abc import Sequence

import numpy as np

from kerascnn import _check
from kerascnn.search.records import Tokens

_LARGEST = 0.1  # first weights are uniform up to it


class Controller:
    """A distribution over candidates: one layer of LSTM that reads the token before, and a softmax for each place.

    `logits` are all its weights in one vector, named as in `Policy`, so that `reinforce_gradient` and `ppo_gradient`
    serve both.

    Args:
        sizes: how many values each token has.
        units: of the LSTM and of the embeddings of tokens.
        rng: draws the first weights.

    Raises:
        InputError: a size or `units` is less than 1.
    """

    def __init__(self, sizes: Sequence[int], units: int, rng: np.random.Generator):
        self.sizes = tuple(_check.whole("a size", size, 1) for size in sizes)
        u = self.units = _check.whole("units", units, 1)
        self._shapes = {"input": (u, 4 * u), "state": (u, 4 * u), "bias": (4 * u,)}
        for place, size in enumerate(self.sizes):
            self._shapes |= {f"read{place}": (size, u), f"choose{place}": (u, size), f"lean{place}": (size,)}
        count = sum(int(np.prod(shape)) for shape in self._shapes.values())
        self.logits = rng.uniform(-_LARGEST, _LARGEST, count)
        self._weights = self._views(self.logits)

    def _views(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        views, first = {}, 0
        for name, shape in self._shapes.items():
            end = first + int(np.prod(shape))
            views[name] = vector[first:end].reshape(shape)
            first = end
        return views

    def _walk(self, tokens: Tokens | None, rng: np.random.Generator | None):
        """Tokens, given or drawn, the log-probabilities of each, and what the way back needs."""
        w, u = self._weights, self.units
        x, h, c, chosen, logs, tape = np.zeros(u), np.zeros(u), np.zeros(u), [], [], []
        for place in range(len(self.sizes)):
            gates = x @ w["input"] + h @ w["state"] + w["bias"]
            i, f, o = (1 / (1 + np.exp(-gates[k * u : (k + 1) * u])) for k in range(3))
            g = np.tanh(gates[3 * u :])
            before, c_before = h, c
            c = f * c + i * g
            t = np.tanh(c)
            h = o * t
            z = h @ w[f"choose{place}"] + w[f"lean{place}"]
            p = np.exp(z - z.max())
            p /= p.sum()
            if tokens is None:
                token = int(np.searchsorted(np.cumsum(p)[:-1], rng.random(), side="right"))
            else:
                token = tokens[place]
            chosen.append(token)
            logs.append(np.log(p[token]))
            tape.append((x, before, c_before, i, f, o, g, t, h, p))
            x = w[f"read{place}"][token]
        return tuple(chosen), float(np.sum(logs)), tape

    def sample(self, rng: np.random.Generator) -> Tokens:
        """Draws a candidate.

        Args:
            rng: draws.

        Returns:
            The tokens.
        """
        return self._walk(None, rng)[0]

    def log_probability(self, tokens: Tokens) -> float:
        """Of a candidate.

        Args:
            tokens: a candidate.

        Returns:
            The natural logarithm of its probability.
        """
        return self._walk(tokens, None)[1]

    def score(self, tokens: Tokens) -> np.ndarray:
        """The gradient of a candidate's log-probability with respect to the weights, backward through the LSTM.

        Args:
            tokens: a candidate.

        Returns:
            float64 of the shape of `logits`.
        """
        found = np.zeros_like(self.logits)
        w, d, tape = self._weights, self._views(found), self._walk(tokens, None)[2]
        dh, dc, dx = np.zeros(self.units), np.zeros(self.units), np.zeros(self.units)
        for place in reversed(range(len(self.sizes))):
            x, before, c_before, i, f, o, g, t, h, p = tape[place]
            d[f"read{place}"][tokens[place]] += dx  # what the next place read
            dz = -p
            dz[tokens[place]] += 1
            d[f"choose{place}"] += np.outer(h, dz)
            d[f"lean{place}"] += dz
            dh = dh + w[f"choose{place}"] @ dz
            dc = dc + dh * o * (1 - t * t)
            gates = np.concatenate(
                [dc * g * i * (1 - i), dc * c_before * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)]
            )
            d["input"] += np.outer(x, gates)
            d["state"] += np.outer(before, gates)
            d["bias"] += gates
            dx, dh, dc = w["input"] @ gates, w["state"] @ gates, dc * f
        return found
