"""Learning rates with and without batch norm."""

import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.small_networks import small_network

module = importlib.import_module("kerascnn.studies.batch_norm_rates")
DIGITS = data.load("digits", limit=300)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"rates": (0.01, 3e38), "depth": 8, "width": 4, "steps": 12, "batch_size": 16, "draws": 1}


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    def small(shape, classes, draws, *, blocks, widths, shortcuts, batch_norm):
        assert (blocks, widths, shortcuts) == (1, (4, 8, 16), False)
        return small_network(shape, classes, draws, widths=(4,), shortcuts=False, batch_norm=batch_norm)

    monkeypatch.setattr(module, "small_network", small)
    found = studies.batch_norm_rates(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    arrays = found.arrays
    # The second rate overflows the classifier's biases; trainings that diverge have no numbers, and all others have.
    assert arrays["diverged"][:, :, 0].tolist() == [[False, True]] * 2
    for name in ("loss", "accuracy", "held_loss", "held_accuracy"):
        assert arrays[name].shape == (2, 2, 1)
        np.testing.assert_array_equal(np.isnan(arrays[name]), arrays["diverged"])
    shares = np.array([np.mean(LABELS[:240] == label) for label in range(10)])
    assert arrays["guess"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert found.settings["images"] == 240 and found.settings["held_out"] == 60
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.batch_norm_rates(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: rates differ"):
        studies.batch_norm_rates(IMAGES, LABELS, **{**SMALL, "rates": (0.01, 0.1)}, folder=tmp_path / "rows")


def test_kinds_differ_in_batch_norm_alone(monkeypatch):
    """Both start from the same kernels, and see the same orders at the same rate."""
    seen = []

    class Nothing:
        def __init__(self, model, examples, optimizer, batch_size, seed):
            seen.append((model, float(optimizer.learning_rate), seed))

        def steps(self, count):
            return np.full(count, 1.0)

    monkeypatch.setattr(module, "Trainer", Nothing)
    monkeypatch.setattr(module, "measure", lambda *_: (1.0, 0.5))
    studies.batch_norm_rates(IMAGES, LABELS, **{**SMALL, "rates": (0.5,), "draws": 2})
    (plain, *one), (other, *two), (norm, *three), _ = seen
    assert one == three == [0.5, 0] and two == [0.5, 1]
    kernels = [[x.numpy() for x in model.weights if x.name == "kernel"] for model in (plain, norm, other)]
    for mine, same, differ in zip(*kernels, strict=True):
        np.testing.assert_array_equal(mine, same)
        assert (mine != differ).any()
    # Norms have two trained numbers for each channel where the others have a bias.
    channels = 4 * 3 + 8 * 2 + 16 * 2
    trained = [sum(int(np.prod(x.shape)) for x in model.trainable_variables) for model in (plain, norm)]
    assert trained[1] - trained[0] == channels


NAN = np.nan


def _arrays(plain, norm, held):
    loss = np.array([plain, norm], "float64")
    rates = 10.0 ** np.arange(loss.shape[1])
    return {"loss": loss, "diverged": np.isnan(loss), "held_accuracy": np.array(held, "float64"),
            "rates": rates, "guess": np.array(2.0)}  # fmt: skip


def test_claims():
    held = [[[0.6, 0.7, 0.6], [NAN] * 3], [[0.6, 0.6, 0.7], [0.8, 0.8, 0.9]]]
    arrays = _arrays([[0.9, 0.8, 0.9], [NAN] * 3], [[0.95, 0.9, 0.9], [0.2, 0.3, NAN]], held)
    assert module.learned(arrays).sum() == 8
    assert list(module._claims(arrays).values()) == [True] * 4
    arrays["held_accuracy"][1, 0] = 0.71  # most of the gain is there at the same rate
    assert list(module._claims(arrays).values()) == [True, True, True, False]
    # Two of three diverge: that rate is no good, though the third has the lowest loss of all.
    arrays["loss"][1, 1], arrays["held_accuracy"][1, 1] = (0.1, NAN, NAN), (0.9, NAN, NAN)
    arrays["held_accuracy"][1, 0], arrays["diverged"] = 0.5, np.isnan(arrays["loss"])
    assert list(module._claims(arrays).values()) == [False] * 4
    # Learning nothing is no learning, even if nothing overflows.
    arrays = _arrays([[0.5], [0.5]], [[0.5], [1.99]], [[[0.7], [0.7]], [[0.7], [0.1]]])
    assert list(module._claims(arrays).values()) == [False] * 4
    assert list(module._claims(_arrays([[NAN]], [[NAN]], [[[NAN]], [[NAN]]])).values()) == [False] * 4


def test_a_picture_where_all_have_diverged(tmp_path):
    arrays = _arrays([[NAN, NAN]], [[NAN, NAN]], [[[NAN, NAN]], [[NAN, NAN]]])
    settings = {"depth": 8, "images": 240, "steps": 12, "batch_size": 16, "draws": 2}
    studies.Study("batch_norm_rates", settings, arrays, {}, 1.0, module._plot).draw(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "options, told",
    [
        ({"rates": (0.1, 0.01)}, "rates must be ascending"), ({"rates": (0, 1.0)}, "rates"),
        ({"rates": (0.1, np.inf)}, "rates"), ({"rates": ()}, "rates"),
        ({"depth": 9}, r"depth must be 6 \* blocks \+ 2"), ({"depth": 2}, "depth"),
        ({"width": 0}, "width"), ({"steps": 0}, "steps"), ({"batch_size": 241}, "batch_size"), ({"draws": 0}, "draws"),
        ({"seed": -1}, "seed"), ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.batch_norm_rates(IMAGES, LABELS, **{**SMALL, **options})
