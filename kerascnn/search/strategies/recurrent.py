"""A layer of LSTM over batches of sequences, forward and backward, and other parts of networks with their gradients.

Hochreiter, Schmidhuber: Long Short-Term Memory, 1997, doi.org/10.1162/neco.1997.9.8.1735, with forget gates.
"""

from typing import NamedTuple

import numpy as np

_TINY = 1e-12


class Run(NamedTuple):
    """What an LSTM made of n sequences, and what the way back needs."""

    outputs: np.ndarray  # [n, length, units]
    c: np.ndarray  # [n, units], the last state
    read: np.ndarray  # [n, length, inputs]
    before: np.ndarray  # [n, length, units]: outputs before each step
    steps: list[tuple[np.ndarray, ...]]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), of any numbers without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def lstm(x: np.ndarray, weights: tuple[np.ndarray, ...], h: np.ndarray, c: np.ndarray) -> Run:
    """Runs along sequences.

    Args:
        x: what is read [n, length, inputs].
        weights: for what is read [inputs, 4 units], for the output before [units, 4 units], and added [4 units]: of
            the input gate, the forget gate, the output gate and the new values.
        h, c: output and state before the first step [n, units].

    Returns:
        The outputs and what `lstm_gradients` needs.
    """
    for_input, for_state, bias = weights
    given, units = x @ for_input + bias, len(for_state)
    outputs, before, steps = np.empty((*x.shape[:2], units)), np.empty((*x.shape[:2], units)), []
    for t in range(x.shape[1]):
        gates = given[:, t] + h @ for_state
        opened, g = sigmoid(gates[:, : 3 * units]), np.tanh(gates[:, 3 * units :])
        i, f, o = opened[:, :units], opened[:, units : 2 * units], opened[:, 2 * units :]
        before[:, t], c_before = h, c
        c = f * c + i * g
        squashed = np.tanh(c)
        h = outputs[:, t] = o * squashed
        steps.append((c_before, i, f, o, g, squashed))
    return Run(outputs, c, x, before, steps)


def lstm_gradients(run: Run, weights: tuple[np.ndarray, ...], outputs: np.ndarray):
    """Goes back through a run.

    Args:
        run: the run.
        weights: that it was made with.
        outputs: gradients of something with respect to the outputs [n, length, units].

    Returns:
        Its gradients with respect to what was read, to each of the weights, and to `h` and `c`.
    """
    for_input, for_state, _ = weights
    units, gates = len(for_state), np.empty((*run.read.shape[:2], 4 * len(for_state)))
    dh, dc = np.zeros_like(run.c), np.zeros_like(run.c)
    for t in reversed(range(run.read.shape[1])):
        c_before, i, f, o, g, squashed = run.steps[t]
        dh = dh + outputs[:, t]
        dc = dc + dh * o * (1 - squashed * squashed)
        gates[:, t, :units] = dc * g * i * (1 - i)
        gates[:, t, units : 2 * units] = dc * c_before * f * (1 - f)
        gates[:, t, 2 * units : 3 * units] = dh * squashed * o * (1 - o)
        gates[:, t, 3 * units :] = dc * i * (1 - g * g)
        dh, dc = gates[:, t] @ for_state.T, dc * f
    flat = gates.reshape(-1, 4 * units)
    found = run.read.reshape(len(flat), -1).T @ flat, run.before.reshape(len(flat), -1).T @ flat, flat.sum(0)
    return gates @ for_input.T, found, dh, dc


def normalized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length 1.

    Args:
        x: [..., size].

    Returns:
        They, and the lengths of those given [..., 1].
    """
    length = np.sqrt((x * x).sum(-1, keepdims=True)) + _TINY
    return x / length, length


def normalized_gradient(y: np.ndarray, length: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Goes back through `normalized`.

    Args:
        y, length: what it gave.
        gradient: of something with respect to `y`.

    Returns:
        Its gradient with respect to what was given.
    """
    return (gradient - y * (gradient * y).sum(-1, keepdims=True)) / length


def softmax(x: np.ndarray) -> np.ndarray:
    """Of the last axis."""
    grown = np.exp(x - x.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)
