"""The pipelines of segmentation: images and masks move together, and a restart continues exactly."""

import numpy as np
import pytest
import tensorflow as tf
from mask_files import some_masks, write_pairs

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, Preprocessing
from kerascnn.data import letterbox, pipeline
from kerascnn.data.masks import IGNORE, PairArrays, unstack
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source

PLAIN = Preprocessing(mean=(0.0,), std=(1 / 255,), interpolation="nearest")  # leaves pixel values as they are


def collect(dataset):
    return tuple(np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True))


def readable(count=12, height=9, width=7):
    """Each image is its own mask, so that a batch shows whether both were treated alike; border pixels are 0."""
    pixels = np.random.RandomState(1).randint(1, 200, (count, height, width, 1)).astype(np.uint8)
    split = PairArrays(pixels, pixels[..., 0], 200)
    names = tuple(str(number) for number in range(200))
    return Source("readable", names, (height, width, 1), dict.fromkeys(PARTS, split), task="segmentation")


@pytest.mark.parametrize("augment", ["none", "scale_crop_flip", "crop + flip"])
@pytest.mark.parametrize("shape", [(9, 7, 1), (16, 16, 1), (5, 6, 1)])
def test_images_and_masks_are_treated_alike(augment, shape):
    dataset, steps = data.train_pipeline(
        readable(), image_shape=shape, preprocessing=PLAIN, batch_size=4, augment=augment, epochs=2, seed=5
    )
    assert steps == 3 and dataset.cardinality() == 6
    assert dataset.element_spec == (tf.TensorSpec([4, *shape], tf.float32), tf.TensorSpec([4, *shape[:2]], tf.int32))
    images, masks = collect(dataset)
    np.testing.assert_array_equal(np.round(images[..., 0]), np.where(masks == IGNORE, 0, masks))
    assert (masks != IGNORE).any(axis=(1, 2)).all()
    if augment == "none" and shape == (9, 7, 1):
        assert (masks != IGNORE).all()


KINDS = ("arrays", "files", "files not kept")
AUGMENTS = ("none", "scale_crop_flip", "scale_crop(0.8, 1.5) + flip + pca_noise")
# Each kind and each augmentation once; the other pairs after the default run.
PAIRS = [
    pytest.param(kind, augment, marks=[pytest.mark.after] * (place != other))
    for place, kind in enumerate(KINDS)
    for other, augment in enumerate(AUGMENTS)
]


@pytest.mark.after
@pytest.mark.parametrize(("kind", "augment"), PAIRS)
def test_a_restart_sees_what_an_uninterrupted_run_sees(tmp_path, monkeypatch, kind, augment):
    if kind == "arrays":
        source = data.load("shapes:16x16x3,examples=8,test=3")
    else:
        source = data.load(write_pairs(tmp_path / "set", some_masks(8)))
    if kind.endswith("not kept"):
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    settings = dict(image_shape=(12, 14, 3), preprocessing=CIFAR, batch_size=3, augment=augment, seed=3, epochs=3)
    tf.random.set_seed(1)
    dataset, steps = data.train_pipeline(source, **settings)
    images, masks = collect(dataset)
    tf.random.set_seed(2)
    rest, _ = data.train_pipeline(source, **settings, first_epoch=2)
    later_images, later_masks = collect(rest)
    per_epoch = steps * (len(images) // (3 * steps))
    assert later_images.tobytes() == images[2 * per_epoch :].tobytes()
    assert later_masks.tobytes() == masks[2 * per_epoch :].tobytes()
    other, _ = data.train_pipeline(source, **{**settings, "seed": 4})
    assert collect(other)[0].tobytes() != images.tobytes()
    tested = data.eval_pipeline(source, image_shape=(12, 14, 3), preprocessing=CIFAR, batch_size=2, keep=True)
    for _ in range(2):
        images, masks = collect(tested)
        assert images.shape == (source.sizes["test"], 12, 14, 3) and masks.shape == images.shape[:3]
        assert masks.dtype == np.int32 and np.isfinite(images).all()


def test_the_augmentation_varies_scale_place_and_side():
    """A white square in the middle: its size goes from a half to double, and its place moves."""
    pixels = np.zeros([1, 32, 32, 1], np.uint8)
    pixels[0, 12:20, 12:20] = 1
    split = PairArrays(pixels, pixels[..., 0], 2)
    source = Source("square", ("0", "1"), (32, 32, 1), dict.fromkeys(PARTS, split), task="segmentation")
    dataset, _ = data.train_pipeline(
        source, image_shape=(32, 32, 1), preprocessing=PLAIN, batch_size=1, augment="scale_crop_flip", epochs=60
    )
    _, masks = collect(dataset)
    sizes = (masks == 1).any(axis=2).sum(axis=1)
    assert sizes.min() in (4, 5) and sizes.max() in (14, 15, 16) and len(set(sizes)) > 8
    assert len({tuple(np.argwhere(mask == 1)[0]) for mask in masks if (mask == 1).any()}) > 30
    inside = (masks != IGNORE).mean(axis=(1, 2))
    assert inside.min() < 0.35 and inside.max() == 1


def test_flips_are_half_of_all():
    pixels = np.zeros([1, 8, 8, 1], np.uint8)
    pixels[0, :, :4] = 1
    pair = tf.concat([pixels[0], pixels[0]], axis=-1)
    first = [unstack(letterbox.scale_crop_flip(pair, [number, 0], (8, 8, 1), PLAIN))[1].numpy() for number in range(80)]
    left, right = (np.mean([(mask[:, side] == 1).mean() for mask in first]) for side in (0, -1))
    assert 0.5 < left / right < 2


def test_a_whole_image_is_fitted_and_taken_back():
    image = np.random.RandomState(0).randint(0, 256, (20, 10, 3)).astype(np.uint8)
    fitted = letterbox.fit_whole_image(image, (16, 16, 3), CIFAR, normalize=False).numpy()
    mean = np.round(255 * np.array(CIFAR.mean))
    np.testing.assert_array_equal(fitted[:, :4], np.broadcast_to(mean, [16, 4, 3]))
    np.testing.assert_array_equal(fitted[:, 12:], np.broadcast_to(mean, [16, 4, 3]))
    assert (fitted[:, 4:12] != mean).any(axis=(0, 2)).all()
    gray = letterbox.fit_whole_image(image, (16, 16, 1), CIFAR)
    assert gray.shape == (16, 16, 1) and gray.dtype == tf.float32
    numbers = np.arange(256).reshape(16, 16)
    back = letterbox.restore(numbers, 20, 10)
    assert back.shape == (20, 10) and set((back % 16).ravel()) == set(range(4, 12)) and len(set(back[:, 0] // 16)) == 16
    np.testing.assert_array_equal(letterbox.restore(numbers, 16, 16), numbers)
    np.testing.assert_array_equal(letterbox.restore(numbers, 32, 32)[::2, ::2], numbers)


def test_settings_that_are_refused():
    settings = dict(image_shape=(8, 8, 1), preprocessing=PLAIN, batch_size=2)
    for augment in ("pad_crop_flip", "mixup"):
        with pytest.raises(InputError, match="for segmentation.* Received: "):
            data.train_pipeline(readable(), **settings, augment=augment)
    with pytest.raises(InputError, match="for classification.*Received: augment='scale_crop_flip'"):
        data.train_pipeline(data.load("digits"), **settings, augment="scale_crop_flip")
    with pytest.raises(InputError, match="batch_size must be a whole number, at least 1"):
        data.train_pipeline(readable(), **{**settings, "batch_size": 0})
