"""What a one-shot search sees of a data set."""

import numpy as np
import pytest

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.search.one_shot.images import halves

PIXELS = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), np.uint8)
SOURCE = data.from_arrays(
    {part: (PIXELS[i : i + 30], np.arange(30) % 3) for i, part in ((0, "train"), (30, "validation"), (60, "test"))},
    ("a", "b", "c"),
    mirrored=False,
)


def keys(images):
    return {image.tobytes() for image in images}


def test_the_training_part_alone_is_divided():
    one, two, prepare = halves(SOURCE, 0.6, "none", 0)
    assert keys(one.pixels) | keys(two.pixels) == keys(PIXELS[:30])
    assert not keys(one.pixels) & keys(two.pixels)
    assert np.bincount(one.labels).tolist() == [6, 6, 6] and np.bincount(two.labels).tolist() == [4, 4, 4]
    normal = prepare(one.pixels).numpy()
    assert abs(normal.mean()) < 1e-4 and normal.std() == pytest.approx(1.0, abs=1e-4)
    assert keys(halves(SOURCE, 0.6, "none", 1)[0].pixels) != keys(one.pixels)


def test_batches_follow_from_the_seed():
    one, _, prepare = halves(SOURCE, 0.6, "pad_crop_flip", 0)
    first, again, other = (list(one.batches(5, seed)) for seed in ((0, 1), (0, 1), (0, 2)))
    assert len(first) == 3 and len(keys(np.concatenate([pixels for pixels, _ in first]))) == 15
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))
    assert len(next(one.batches(100, (0,)))[1]) == 18
    still, changed, same, third = (prepare(one.pixels, seed).numpy() for seed in (None, (1, 2), (1, 2), (1, 3)))
    assert np.array_equal(changed, same)
    assert not np.array_equal(changed, still) and not np.array_equal(changed, third)
    assert prepare.augment == "pad_crop", "a digit in the mirror is none"


def test_what_cannot_be_used_is_refused():
    with pytest.raises(InputError, match="augment must be one of none, pad_crop, pad_crop_flip"):
        halves(SOURCE, 0.5, "cutout", 0)
    with pytest.raises(InputError, match="share must be"):
        halves(SOURCE, 1.0, "none", 0)
    with pytest.raises(InputError, match="Both parts of the training set must have images"):
        halves(SOURCE, 0.01, "none", 0)
