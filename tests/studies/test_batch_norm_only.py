"""Training batch norm alone."""

import importlib

import keras
import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.trials import Draws

module = importlib.import_module("kerascnn.studies.batch_norm_only")
DIGITS = data.load("digits", limit=100)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"depths": (8,), "width": 4, "steps": 4, "batch_size": 16, "draws": 1}


def test_what_does_not_train_keeps_its_bits(tmp_path, monkeypatch):
    """By kind, in a network of one stage: which variables move, how many numbers, and that statistics follow."""
    seen = []

    def small(shape, classes, draws, *, blocks, widths):
        assert (blocks, widths) == (1, (4, 8, 16))
        seen.append(small_network(shape, classes, draws, blocks=1, widths=(4,)))
        return seen[-1]

    train_only, starts = module.train_only, []

    def remember(model, kind, random):
        starts.append({x.path: x.numpy() for x in model.weights})
        return train_only(model, kind, random)

    monkeypatch.setattr(module, "small_network", small)
    monkeypatch.setattr(module, "train_only", remember)
    found = studies.batch_norm_only(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for kind, model, start in zip(module.KINDS, seen, starts, strict=True):
        moved = {x.path: x.numpy() != start[x.path] for x in model.weights}
        for path, where in moved.items():
            layer, part = path.split("/")
            is_norm, is_statistic = layer.endswith("_norm"), part.startswith("moving")
            free = {"everything": True, "batch norm": is_norm, "classifier": layer == "classifier"}.get(kind, False)
            if is_statistic:
                assert where.any(), (kind, path)
            elif kind == "random weights" and part == "kernel" and layer != "classifier":
                # Two of each filter; one of a dead pixel has no gradient.
                assert 0 < where.sum() and (where.reshape(-1, 4).sum(axis=0) <= 2).all(), path
            else:
                assert where.any() == free, (kind, path)
        # All start alike, scales evenly from 0 to 1.
        assert {path: value.tobytes() for path, value in start.items()} == {
            path: value.tobytes() for path, value in starts[0].items()
        }
        scales = np.concatenate([value for path, value in start.items() if path.endswith("gamma")])
        assert 0 <= scales.min() < 0.4 and 0.6 < scales.max() < 1
    # Stem and two convolutions of four channels; a classifier of ten classes.
    kernels = 9 * IMAGES.shape[-1] * 4 + 2 * 9 * 4 * 4
    assert found.arrays["trained"].ravel().tolist() == [kernels + 2 * 12 + 50, 2 * 12, 2 * 12, 50]
    np.testing.assert_allclose(found.arrays["scales"].sum(axis=-1), 1)
    for name in ("loss", "accuracy", "held_loss", "held_accuracy", "off"):
        assert found.arrays[name].shape == (4, 1, 1) and np.isfinite(found.arrays[name]).all()
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.batch_norm_only(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: near differ"):
        studies.batch_norm_only(IMAGES, LABELS, **SMALL, near=0.1, folder=tmp_path / "rows")


def test_random_weights_are_two_of_each_filter():
    found, channels = [], 3 * 5 + 2 * 6
    for seed in (0, 1):
        model = small_network((8, 8, 1), 10, Draws(0), widths=(5, 6))
        found.append(module.train_only(model, module.RANDOM, np.random.default_rng(seed)))
        assert sum(mask.sum() for mask in found[-1]) == 2 * channels
        for mask, variable in zip(found[-1], model.trainable_variables, strict=True):
            assert variable.name == "kernel" and mask.shape == variable.shape
            assert (mask.reshape(-1, mask.shape[-1]).sum(axis=0) == 2).all()
    assert any((one != two).any() for one, two in zip(*found, strict=True))
    model = small_network((8, 8, 1), 10, Draws(0), widths=(5, 6))
    trained = module.train_only(model, module.NORMS, np.random.default_rng(0))
    assert trained == [None] * len(model.trainable_variables)
    assert sum(int(np.prod(x.shape)) for x in model.trainable_variables) == 2 * channels


def test_masked_descent():
    """What is masked keeps its bits, whatever its gradient; the rest is plain descent with momentum."""
    start = np.array([0.1, -0.3, 3.0, 1e-30], "float32")
    variable = keras.Variable(start)
    mask = np.array([True, False, True, False])
    optimizer = module.MaskedSGD([mask], 0.5, momentum=0.9)
    for gradient in ([1.0, np.inf, 2.0, np.nan], [3.0, 1.0, -1.0, 1.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, "float32"))], [variable])
    value = variable.numpy()
    assert value[~mask].tobytes() == start[~mask].tobytes()
    # Velocities 1, 0.9 + 3 and 2, 1.8 - 1.
    np.testing.assert_allclose(value[mask], [0.1 - 0.5 * (1 + 3.9), 3 - 0.5 * (2 + 0.8)], rtol=1e-6)


def test_claims():
    held = np.array([[[0.9] * 3] * 2, [[0.5, 0.6, 0.1], [0.7] * 3], [[0.4] * 3, [0.6, 0.6, 0.9]], [[0.3] * 3] * 2])
    off = np.zeros((4, 2, 3))
    off[1, 1] = (0.1, 0.3, 0.9)
    arrays = {"held_accuracy": held, "off": off, "depths": np.array([8, 14])}
    assert list(module._claims(arrays).values()) == [True, True, True]
    held[1, 1, :2] = off[1, 1, :2] = np.nan  # two of three have diverged
    assert list(module._claims(arrays).values()) == [False, False, False]
    one = {"held_accuracy": held[:, :1], "off": off[:, :1], "depths": np.array([8])}
    assert list(module._claims(one).values()) == [True, False]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"depths": (8, 10)}, r"depths must be 6 \* blocks \+ 2"), ({"depths": (14, 8)}, "depths must be ascending"),
        ({"width": 0}, "width"), ({"near": 0}, "near"), ({"steps": 0}, "steps"), ({"batch_size": 81}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.batch_norm_only(IMAGES, LABELS, **{**SMALL, **options})
