"""Internal covariate shift and smoothness."""

import importlib

import keras
import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.trials import Draws, Trainer, divided

module = importlib.import_module("kerascnn.studies.covariate_shift")
DIGITS = data.load("digits", limit=100)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"depth": 8, "width": 4, "steps": 4, "measures": 2, "spans": (1.0, 2.0), "batch_size": 16, "draws": 1}
RANDOM = np.random.default_rng(0)


def _linear(sizes):
    """A chain of matrices without biases, and the matrices."""
    inputs = x = keras.Input((sizes[0],))
    for number, size in enumerate(sizes[1:]):
        x = keras.layers.Dense(size, use_bias=False, name=f"dense{number}")(x)
    model = keras.Model(inputs, x)
    model.set_weights([RANDOM.normal(size=x.shape) / np.sqrt(x.shape[0]) for x in model.weights])
    return model, [x.numpy().astype("float64") for x in model.weights]


def _gradients(matrices, x, labels):
    """(loss, gradients) of the mean cross-entropy of x W1 W2 ..."""
    values = [x]
    for matrix in matrices:
        values.append(values[-1] @ matrix)
    odds = np.exp(values[-1])
    chance = odds / odds.sum(axis=1, keepdims=True)
    wanted = np.eye(chance.shape[1])[labels]
    back, found = (chance - wanted) / len(x), []
    for value, matrix in zip(values[-2::-1], matrices[::-1], strict=True):
        found.insert(0, value.T @ back)
        back = back @ matrix.T
    return -np.log((chance * wanted).sum(axis=1)).mean(), found


def test_a_deep_linear_network():
    model, matrices = _linear((6, 5, 5, 4, 3))
    x, labels = RANDOM.normal(size=(20, 6)), RANDOM.integers(0, 3, 20)
    rate, spans = 0.7, (0.5, 2.0)
    probe = module.Probe(model, rate)
    norm, shift, cosine = probe.shifts(x.astype("float32"), labels)
    assert probe.layers == ["dense0", "dense1", "dense2", "dense3"]
    _, old = _gradients(matrices, x, labels)
    for number in range(4):
        mixed = [m - rate * g if place < number else m for place, (m, g) in enumerate(zip(matrices, old, strict=True))]
        one, other = old[number], _gradients(mixed, x, labels)[1][number]
        assert norm[number] == pytest.approx(np.linalg.norm(one), rel=1e-4)
        assert shift[number] == pytest.approx(np.linalg.norm(one - other), rel=1e-3, abs=1e-6)
        expected = (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)
        assert cosine[number] == pytest.approx(expected, abs=1e-5)
    assert shift[0] == 0 and (shift[1:] > 1e-3).all() and (cosine[1:] < 0.9999).all()
    # Along the gradient, moves of half a step and of two.
    moved = [_gradients([m - s * rate * g for m, g in zip(matrices, old, strict=True)], x, labels) for s in spans]
    changes = [np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(old, new, strict=True))) for _, new in moved]
    length = np.sqrt(sum((g**2).sum() for g in old))
    losses = [loss for loss, _ in moved]
    expected = [min(losses), max(losses), max(changes),
                max(c / (s * rate * length) for c, s in zip(changes, spans, strict=True))]  # fmt: skip
    np.testing.assert_allclose(probe.smoothness(x.astype("float32"), labels, spans), expected, rtol=1e-3)


def test_without_a_step_there_is_no_shift():
    model, _ = _linear((6, 5, 3))
    x, labels = RANDOM.normal(size=(20, 6)).astype("float32"), RANDOM.integers(0, 3, 20)
    norm, shift, cosine = module.Probe(model, 0.0).shifts(x, labels)
    assert (shift == 0).all() and (norm > 0).all()
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    # A network that gives the same whatever it sees has no gradient to turn.
    model.set_weights([np.zeros(x.shape) for x in model.weights])
    norm, shift, cosine = module.Probe(model, 1.0).shifts(x, labels)
    assert (norm == 0).all() and (shift == 0).all() and np.isnan(cosine).all()
    # A step that overflows is infinitely rough, in words of numbers.
    model, _ = _linear((6, 5, 3))
    assert np.isinf(module.Probe(model, 1e38).smoothness(x, labels, (1.0,))[1:3]).all()


def test_the_step_that_is_due_is_the_trainers():
    """With batch norm: what the probe assumes is what training does, and asking changes nothing."""
    examples = divided(IMAGES, LABELS, 0.2)
    model = small_network(examples.shape, 10, Draws(0), widths=(4,), shortcuts=False)
    probe = module.Probe(model, 0.3)
    assert probe.layers == ["stem", "stage1_block1_conv1", "stage1_block1_conv2", "classifier"]
    before = [x.numpy() for x in model.weights]
    images, labels = examples.images[:40], examples.labels[:40]
    norm, shift, cosine = probe.shifts(images, labels)
    assert shift[0] == 0 and cosine[0] == pytest.approx(1) and (shift[1:] > 0).all() and (norm > 0).all()
    probe.smoothness(images, labels, (1.0,))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    few = divided(IMAGES[:41], LABELS[:41], 1 / 41)  # one batch of them all
    values = probe._values()
    trained = Trainer(model, few, keras.optimizers.SGD(0.3), 40, 0)
    _, gradients = probe._gradient(values, few.images, few.labels)
    trained.steps(1)
    for weight, value, gradient in zip(model.trainable_variables, values, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), value.numpy() - 0.3 * gradient.numpy(), atol=1e-5)
    # A norm's variables are parts of the layer of its convolution.
    parts = [probe.layers[group] for group in probe._groups]
    for variable, part in zip(model.trainable_variables, parts, strict=True):
        assert variable.path.split("/")[0].removesuffix("_norm") == part


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    def small(shape, classes, draws, *, blocks, widths, shortcuts, batch_norm):
        assert (blocks, widths, shortcuts) == (1, (4, 8, 16), False)
        return small_network(shape, classes, draws, widths=(4,), shortcuts=False, batch_norm=batch_norm)

    monkeypatch.setattr(module, "small_network", small)
    found = studies.covariate_shift(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    arrays = found.arrays
    assert arrays["at"].tolist() == [0, 2] and arrays["loss"].shape == (2, 1, 2)
    for name in ("norm", "shift", "cosine"):
        assert arrays[name].shape == (2, 1, 2, 4) and np.isfinite(arrays[name]).all()
    assert (arrays["shift"][..., 0] == 0).all() and (arrays["shift"][..., 1:] > 0).all()
    assert (arrays["cosine"] <= 1 + 1e-6).all() and (arrays["high"] >= arrays["low"]).all()
    assert (arrays["smoothness"] > 0).all() and len(np.unique(arrays["norm"])) == 16
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.covariate_shift(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["shift"], arrays["shift"])
    with pytest.raises(InputError, match="rows of another study: spans differ"):
        studies.covariate_shift(IMAGES, LABELS, **{**SMALL, "spans": (1.0,)}, folder=tmp_path / "rows")
    found.settings["depth"] = 4  # of the networks that this test has put in their place
    found.save(tmp_path / "study")


def test_claims():
    ones = np.ones((2, 2, 3))
    arrays = {"loss": ones.copy(), "low": 0 * ones, "high": ones.copy(), "change": ones.copy(),
              "smoothness": ones.copy(), "cosine": np.ones((2, 2, 3, 4)), "shift": np.ones((2, 2, 3, 4))}  # fmt: skip
    # Kinds alike: nothing is lower, and covariate shift is not lowered.
    assert list(module._claims(arrays).values()) == [False, True, True, False, False, False]
    for name in ("loss", "high", "change", "smoothness"):
        arrays[name][1] = 0.5
    assert list(module._claims(arrays).values()) == [True] * 6
    arrays["cosine"][1], arrays["shift"][1] = 1.1, 0.9
    arrays["cosine"][0, ..., 0] = 9  # the first layer does not count
    assert list(module._claims(arrays).values()) == [True, False, False, True, True, True]
    # Moves that overflow without batch norm are rougher than any number.
    arrays["high"][0], arrays["low"][0] = np.inf, np.inf
    assert module._claims(arrays)["With batch norm the loss varies less along the gradient"]
    # All have diverged from the start without batch norm: nothing is known but that.
    arrays["loss"][0] = np.nan
    assert list(module._claims(arrays).values()) == [True] + [False] * 5
    assert all(type(holds) is bool for holds in module._claims(arrays).values())


@pytest.mark.parametrize(
    "options, told",
    [
        ({"depth": 9}, r"depth must be 6 \* blocks \+ 2"), ({"measures": 3}, "measures must be a divisor of steps=4"),
        ({"measures": 5}, "measures"), ({"spans": (0, 1.0)}, "spans"), ({"spans": (2.0, 1.0)}, "spans must be asc"),
        ({"width": 0}, "width"), ({"steps": 0}, "steps"), ({"batch_size": 81}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.covariate_shift(IMAGES, LABELS, **{**SMALL, **options})
