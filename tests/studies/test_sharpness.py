"""How sharp minima are: eigenvalues, boxes, filter-normalized directions."""

import importlib

import keras
import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.flattened import Around
from kerascnn.studies.small_networks import dense_network
from kerascnn.studies.trials import Draws

module = importlib.import_module("kerascnn.studies.sharpness")
DIGITS = data.load("digits", limit=200)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"learning_rates": (0.02, 0.1), "batch_sizes": (10, 50), "widths": (8,), "pool": 2, "goal": 2.2, "passes": 4,
         "draws": 1, "held_out": 0.5}  # fmt: skip
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(40, 2, 2, 1)).astype("float32"), (np.arange(40) % 3).astype("int32")


def linear():
    """A linear classifier of four inputs and three classes, somewhere."""
    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    return Around(model, X, Y)


def deep():
    """A network of two hidden layers, smooth, so that differences of its gradients tell."""
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(inputs)
    for width in (6, 5):
        x = keras.layers.Dense(width, activation="tanh")(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(0.7 * np.random.default_rng(number).normal(size=variable.shape))
    return Around(model, X, Y)


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.sharpness(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in module.MEASURES:
        assert found.arrays[name].shape == (2, 2, 1) and np.isfinite(found.arrays[name]).all()
    assert len(np.unique(found.arrays["eigenvalue"])) == 4 and (found.arrays["eigenvalue"] > 0).all()
    assert (found.arrays["ball"] > 0).all()
    steps, reached = found.arrays["steps"][..., 0], found.arrays["reached"][..., 0]
    assert (steps % [10, 2] == 0).all() and (steps <= [40, 8]).all()
    assert reached[1, 0] == 1 and set(np.unique(reached)) <= {0, 1}
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.sharpness(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["eigenvalue"], found.arrays["eigenvalue"])
    with pytest.raises(InputError, match="rows of another study: goal differ"):
        studies.sharpness(IMAGES, LABELS, **{**SMALL, "goal": 2.1}, folder=tmp_path / "rows")


def test_the_hessian_of_a_linear_classifier():
    loss = linear()
    kernel, bias = (variable.numpy().astype("float64") for variable in loss.variables)
    x = X.reshape(40, 4).astype("float64")
    odds = np.exp(x @ kernel + bias)
    chance = odds / odds.sum(axis=1, keepdims=True)
    # d2 / dz2 of the cross-entropy is diag(p) - p p'; each logit is linear in the inputs and a one.
    extended = np.concatenate([x, np.ones((40, 1))], axis=1)
    among = np.einsum("nk,kl->nkl", chance, np.eye(3)) - np.einsum("nk,nl->nkl", chance, chance)
    hessian = np.einsum("ni,nj,nkl->ikjl", extended, extended, among).reshape(15, 15) / 40
    computed = np.stack([loss.product(row) for row in np.eye(15)])
    np.testing.assert_allclose(computed, hessian, atol=1e-5)
    found = module.largest_eigenvalue(loss.product, loss.size, 15, 0)
    assert found == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-4)
    expected = -np.log(chance[np.arange(40), Y]).mean()
    assert loss.value(np.zeros(15)) == pytest.approx(expected, rel=1e-5)
    slope = extended.T @ (chance - np.eye(3)[Y]) / 40
    np.testing.assert_allclose(loss.slope(np.zeros(15)), slope.ravel(), atol=1e-5)


def test_hessian_vector_products_of_a_deep_network():
    loss = deep()
    u, v = np.random.default_rng(3).normal(size=(2, loss.size))
    product, step = loss.product(v), 1e-3
    assert u @ product == pytest.approx(v @ loss.product(u), rel=1e-3, abs=1e-4)
    differences = (loss.slope(step * v) - loss.slope(-step * v)) / (2 * step)
    np.testing.assert_allclose(differences, product, atol=2e-3 * np.abs(product).max())
    before = [variable.numpy() for variable in loss.variables]
    assert loss.value(np.ones(loss.size)) != loss.value(np.zeros(loss.size))
    for variable, kept in zip(loss.variables, before, strict=True):  # nothing is written to the weights
        np.testing.assert_array_equal(variable.numpy(), kept)


@pytest.mark.parametrize("eigenvalues", [np.linspace(-5, 3, 60), np.r_[np.zeros(58), 7, 9], np.full(60, 2.0)])
def test_the_largest_eigenvalue_of_a_quadratic(eigenvalues):
    turned, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(60, 60)))
    matrix = turned @ np.diag(eigenvalues) @ turned.T
    assert module.largest_eigenvalue(lambda v: matrix @ v, 60, 40, 3) == pytest.approx(eigenvalues.max(), rel=1e-4)


def test_eigenvalues_of_nothing_and_of_one_and_of_what_is_no_number():
    assert module.largest_eigenvalue(lambda v: 0 * v, 5, 10, 0) == 0
    assert module.largest_eigenvalue(lambda v: 4 * v, 1, 10, 0) == pytest.approx(4)
    assert np.isnan(module.largest_eigenvalue(lambda v: np.nan * v, 5, 10, 0))


def test_the_box_holds_a_maximum():
    loss, radius = linear(), 1e-3
    found = module.ball(loss, radius)
    weights = np.concatenate([variable.numpy().ravel() for variable in loss.variables])
    bound, lowest = radius * (np.abs(weights) + 1), loss.value(np.zeros(15))
    # The loss is convex, so that its maximum is at a corner; all 2^15 are too many, hence a first-order bound.
    corners = [loss.value(bound * np.random.default_rng(seed).choice([-1, 1], 15)) for seed in range(50)]
    assert found >= 100 * (max(corners) - lowest) / (1 + lowest) > 0
    slope = 100 * bound @ np.abs(loss.slope(np.zeros(15))) / (1 + lowest)
    assert found == pytest.approx(slope, rel=0.1)


def test_the_rise_does_not_change_with_the_scale_of_layers():
    network = dense_network((2, 2, 1), 3, Draws(5), (6,))
    before = Around(network, X, Y)
    rise, eigenvalue = module.rise(before, 0.5, 0), module.largest_eigenvalue(before.product, before.size, 30, 0)
    hidden, classifier = network.get_layer("hidden1").kernel, network.get_layer("classifier").kernel
    hidden.assign(hidden * 4)
    classifier.assign(classifier / 4)
    after = Around(network, X, Y)
    assert after.value(np.zeros(after.size)) == pytest.approx(before.value(np.zeros(before.size)), rel=1e-5)
    assert abs(rise) > 1e-3 and module.rise(after, 0.5, 0) == pytest.approx(rise, rel=1e-3)
    assert module.largest_eigenvalue(after.product, after.size, 30, 0) > 2 * eigenvalue


def test_training_ends_at_the_goal():
    class Falling:
        loss = 1.0

        def steps(self, count):
            self.loss /= 2
            return np.full(count, self.loss)

    assert module._train(Falling(), 7, 0.125, 100) == (21, True)
    assert module._train(Falling(), 7, 0.125, 2) == (14, False)

    class Failing:
        def steps(self, count):
            return np.full(count, np.nan)

    assert module._train(Failing(), 7, 0.125, 100) == (7, False)


def made_up():
    """Three rates, two sizes, two draws."""
    eigenvalue = np.array([[90.0, 95], [30, 33], [9, 10]])
    arrays = {
        "eigenvalue": eigenvalue, "ball": eigenvalue / 2, "rise": eigenvalue / 9, "reached": np.ones((3, 2)),
        "held_accuracy": 0.9 - eigenvalue / 1000,
    }  # fmt: skip
    return {name: np.repeat(x[..., None], 2, axis=-1) for name, x in arrays.items()}


@pytest.mark.parametrize(
    "name, place, value, expected",
    [
        ("rise", 0, 10.0, [True] * 5), ("eigenvalue", (2, 1), 96, [False, True, True, True, True]),
        ("eigenvalue", (1, 0), 34, [True, False, True, True, True]),
        ("ball", (1, 0), 34, [True, True, False, True, True]),
        ("held_accuracy", (2, 1), 0.99, [True, True, True, False, True]),
        # What has not come to the goal says nothing: the next rate is compared, and a size that is alone is not.
        ("reached", (2, slice(None), 0), 0, [True] * 5),
    ],
)  # fmt: skip
def test_claims(name, place, value, expected):
    arrays = made_up()
    arrays[name][place] = value
    assert list(module._claims(arrays).values()) == expected


def test_claims_of_what_has_not_been_trained():
    arrays = made_up()
    arrays["reached"][2], arrays["eigenvalue"][2] = 0, np.nan  # diverged at the largest rate
    assert list(module._claims(arrays).values()) == [True] * 5
    arrays["reached"][:, 1] = 0  # only small batches are left
    assert [claim[:5] for claim in module._claims(arrays)] == ["Large"]
    arrays["reached"][:] = 0
    assert module._claims(arrays) == {}


@pytest.mark.parametrize(
    "options, told",
    [
        ({"learning_rates": (0.1, 0.02)}, "learning_rates must be asc"), ({"learning_rates": (0.0,)}, "rates"),
        ({"batch_sizes": (50, 10)}, "batch_sizes must be asc"), ({"batch_sizes": (101,)}, "batch_sizes"),
        ({"widths": ()}, "widths"), ({"widths": (0,)}, "widths"), ({"pool": 3}, "pool must divide"),
        ({"goal": 0}, "goal"), ({"passes": 0}, "passes"), ({"radius": 0}, "radius"), ({"span": 0}, "span"),
        ({"draws": 0}, "draws"), ({"seed": -1}, "seed"), ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.sharpness(IMAGES, LABELS, **{**SMALL, **options})
