"""Dead units and like filters, with dropout, with SAF-pooling, and with neither."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.trials import divided

module = importlib.import_module("kerascnn.studies.dropout_filters")
DIGITS = data.load("digits", limit=200)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"width": 4, "hidden": 8, "steps": 10, "batch_size": 16, "draws": 2}
NETWORK = {"width": 4, "hidden": 8, "rate": 0.3, "hidden_rate": 0.5}
EXAMPLES = divided(IMAGES, LABELS, 0.2)


def made(kind: str = "nothing", seeds=(0, 0), **options) -> keras.Model:
    return module.network(EXAMPLES.shape, EXAMPLES.classes, kind, seeds, **{**NETWORK, **options})


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.dropout_filters(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in ("loss", "accuracy", "held_loss", "held_accuracy"):
        assert found.arrays[name].shape == (3, 2) and np.isfinite(found.arrays[name]).all()
    for name in ("dead", "zeros", "cosine", "rank"):
        assert found.arrays[name].shape == (3, 2, 4) and np.isfinite(found.arrays[name]).all()
    assert (found.arrays["rank"] >= 1).all() and (found.arrays["cosine"] < 1).all()
    # Kinds and draws differ; each has a place of its own.
    assert len(np.unique(found.arrays["loss"])) == 6 and len(np.unique(found.arrays["rank"])) == 24
    assert found.arrays["units"].tolist() == [4, 8, 16, 8] and len(found.claims) == 9
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.dropout_filters(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name, values in found.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
    with pytest.raises(InputError, match="rows of another study: rate differ"):
        studies.dropout_filters(IMAGES, LABELS, **SMALL, rate=0.3, folder=tmp_path / "rows")


def test_kinds_begin_alike_and_differ_in_training_alone():
    images = EXAMPLES.images[:9]
    models = [made(kind) for kind in module.KINDS]
    logits = [model(images, training=False).numpy() for model in models]
    noisy = [model(images, training=True).numpy() for model in models]
    for number in (1, 2):
        np.testing.assert_array_equal(logits[number], logits[0])
        assert np.abs(noisy[number] - logits[0]).max() > 0.01
    np.testing.assert_allclose(noisy[0], logits[0], atol=1e-5)
    assert np.abs(made(seeds=(0, 1))(images).numpy() - logits[0]).max() > 0.01


def test_saf_drops_pooled_values_at_its_rate():
    model = made("saf", rate=0.25)
    pooled = keras.Model(model.input, model.get_layer("pool1").output)
    plain, dropped = (pooled(EXAMPLES.images, training=training).numpy() for training in (False, True))
    alive = plain > 0
    np.testing.assert_allclose(dropped[dropped > 0], plain[dropped > 0] / 0.75, rtol=1e-5)
    assert abs((dropped[alive] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / alive.sum())


def test_a_channel_that_is_dead_and_no_other():
    model = made()
    for place, name in enumerate(module.LAYERS):  # all others give something everywhere
        layer = model.get_layer(name)
        layer.bias.assign(tf.fill(layer.bias.shape, 10.0 ** (place + 1)))
    assert (module.measure_layers(model, EXAMPLES.images)[:2] == 0).all()
    bias = np.full(8, 100, "float32")
    bias[3] = -1e6
    model.get_layer("conv2").bias.assign(bias)
    dead, zeros = module.measure_layers(model, EXAMPLES.images)[:2]
    np.testing.assert_array_equal(dead, [0, 1 / 8, 0, 0])
    np.testing.assert_array_equal(zeros, [0, 1 / 8, 0, 0])


def test_zeros_are_those_of_the_outputs_and_add_up():
    model, images = made(seeds=(5, 0)), EXAMPLES.images
    zeros = module.measure_layers(model, images)[1]
    for place, name in enumerate(module.LAYERS):
        outputs = keras.Model(model.input, model.get_layer(f"{name}_relu").output)(images).numpy()
        assert zeros[place] == pytest.approx((outputs == 0).mean(), abs=1e-3)
    halves = [module.measure_layers(model, part)[1] for part in (images[:80], images[80:])]
    np.testing.assert_allclose(np.mean(halves, axis=0), zeros, atol=1e-3)
    assert len(images) == 160


def test_diversity_is_that_of_numpy():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 5))
    filters = [kernel[..., number].ravel() for number in range(5)]
    cosines = [abs(a @ b) / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(filters) for b in filters[:i]]
    singular = np.linalg.svd(kernel.reshape(18, 5), compute_uv=False)
    expected = np.mean(cosines), (singular**2).sum() / singular[0] ** 2
    np.testing.assert_allclose(module.diversity(kernel), expected, rtol=1e-12)
    np.testing.assert_allclose(module.diversity(7 * np.eye(6)), (0, 6), atol=1e-12)
    np.testing.assert_allclose(module.diversity(np.ones((3, 3, 1, 4)) * [1, -2, 3, 4]), (1, 1))
    np.testing.assert_allclose(module.diversity(np.eye(3) * [1, 1, 0]), (0, 2), atol=1e-12)
    assert module.diversity(np.zeros((2, 2, 2, 2))) == (0, 0)


def test_what_has_diverged_is_no_number():
    model = made()
    model.get_layer("classifier").bias.assign(np.full(10, np.nan, "float32"))
    assert np.isnan(module.measure_layers(model, EXAMPLES.images)).all()
    found = studies.dropout_filters(IMAGES, LABELS, **{**SMALL, "draws": 1}, learning_rate=1e20)
    assert np.isnan(found.arrays["dead"]).all() and not any(list(found.claims.values())[:3])


def test_claims():
    def arrays():
        of_layers = {name: np.full((3, 2, 2), 0.5) for name in ("dead", "zeros", "cosine", "rank")}
        return {**of_layers, "held_accuracy": np.full((3, 2), 0.5), "units": np.array([2, 10])}

    assert not any(module._claims(arrays()).values())  # no difference is none to the better
    better = arrays()
    better["dead"][1, :, 0], better["dead"][1, :, 1] = 0.8, 0.4  # fewer units, as the second layer is larger
    better["cosine"][1], better["rank"][1], better["zeros"][1] = 0.4, 0.6, 0.6
    better["held_accuracy"][1] = 0.45, 0.6
    assert list(module._claims(better).values()) == [True] * 4 + [False] * 4 + [True]
    for name in ("dead", "cosine", "rank"):
        better[name][2] = better[name][1]
    better["held_accuracy"][2] = 0.4, 0.58
    assert list(module._claims(better).values()) == [True] * 7 + [False, True]
    better["dead"][0, 0] = np.nan  # that draw has nothing to compare with
    better["dead"][2, 1] = 1
    assert list(module._claims(better).values()) == [True] * 4 + [False] + [True] * 2 + [False, True]
    better["dead"][1] = np.nan
    assert not list(module._claims(better).values())[0]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"width": 1}, "width"), ({"hidden": 1}, "hidden"), ({"rate": 1.0}, "rate"), ({"rate": -0.1}, "rate"),
        ({"hidden_rate": 1}, "hidden_rate"), ({"steps": 0}, "steps"), ({"batch_size": 161}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.dropout_filters(IMAGES, LABELS, **{**SMALL, **options})
