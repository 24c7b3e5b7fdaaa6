"""Only what a window changes is computed: the same scores as from whole images, for every kind of layer and place."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import explain
from kerascnn.explain import locality, regions
from kerascnn.explain.prepared import prepared
from kerascnn.surgery.graph import walk

L, K = keras.layers, kerascnn.layers
RANDOM = np.random.default_rng(0)
SHAPE = (40, 33, 2)


def finished(inputs, x):
    """A classifier whose biases and statistics are not the initial ones, which would hide what padding holds."""
    x = L.Dense(5)(L.Flatten()(x))
    model = keras.Model(inputs, x)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(RANDOM.uniform(0.2, 1.0, weight.shape))
    return model


def chain(*layers):
    x = inputs = keras.Input(SHAPE)
    for layer in layers:
        x = layer(x)
    return finished(inputs, x)


def branches():
    """Shortcuts of other boxes, several merges, a gate over all pixels in the middle."""
    inputs = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = L.Conv2D(4, 5, padding="same")(x)
    x = L.Concatenate()([L.Add()([x, y]), L.Maximum()([x, inputs_of(inputs)]), x])
    x = L.Conv2D(6, 3, strides=2, padding="same")(x)
    gate = L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D()(x))
    x = L.Multiply()([x, L.Reshape((1, 1, 6))(gate)])
    return finished(inputs, L.Conv2D(3, 3)(x))


def inputs_of(x):
    return L.Conv2D(4, 1, use_bias=False)(x)


KINDS = {
    "same": lambda: chain(L.Conv2D(3, 3, padding="same"), L.Conv2D(3, 4, padding="same", activation="relu")),
    "valid": lambda: chain(L.Conv2D(3, 3), L.ReLU(), L.Conv2D(3, (2, 5))),
    "strides": lambda: chain(L.Conv2D(3, 7, strides=2, padding="same"), L.Conv2D(3, 3, strides=(2, 1), padding="same")),
    "skipped pixels": lambda: chain(L.Conv2D(3, 1, strides=3), L.Conv2D(3, 3, padding="same")),
    "dilation": lambda: chain(L.Conv2D(3, 3, dilation_rate=(2, 3), padding="same"), L.LeakyReLU()),
    "explicit": lambda: chain(K.Conv2D(4, 3, padding=((2, 0), (1, 3))), K.Conv2D(4, 3, strides=2, padding=1, groups=2)),
    "depthwise": lambda: chain(
        L.DepthwiseConv2D(3, padding="same"), K.DepthwiseConv2D(3, 2, padding=1, depth_multiplier=2)
    ),
    "plain": lambda: chain(K.PlainConv2D(3, 3, padding="same", use_bias=False), K.BatchNormalization(), L.ReLU()),
    "absorbed norms": lambda: chain(
        L.Conv2D(4, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.DepthwiseConv2D(3, 2, padding="same"),
        K.BatchNormalization(scale=False),
        L.Conv2D(5, 1),
        L.BatchNormalization(center=False),
        L.Dense(3, use_bias=False),
        L.BatchNormalization(),
        L.Conv2D(3, 3),
    ),
    "norms": lambda: chain(L.BatchNormalization(), L.Conv2D(4, 3), L.LayerNormalization(), L.Softmax(), L.Dropout(0.5)),
    "maxima": lambda: chain(
        L.MaxPooling2D(3, 2, padding="same"), K.MaxPooling2D(3, 2, padding=1), L.Rescaling(-2.0, 1.0)
    ),
    "means": lambda: chain(L.AveragePooling2D(2), L.AveragePooling2D(3, 1, padding="same")),
    "zeros": lambda: chain(
        L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(3, 3, strides=2), L.ZeroPadding2D(1), L.MaxPooling2D(3)
    ),
    "dense pixels": lambda: chain(L.Dense(4, activation="gelu"), L.Conv2D(3, 3)),
    "half covered": lambda: chain(L.Conv2D(3, 9, padding="same"), L.Conv2D(3, 9, padding="same")),
    "nobody's activation": lambda: chain(L.Conv2D(3, 3, activation=lambda x: x - tf.reduce_mean(x, (1, 2), True))),
    "mixed": lambda: chain(L.Conv2D(3, 3), L.Activation(lambda x: x - tf.reduce_mean(x, (1, 2), True)), L.Conv2D(3, 3)),
    "branches": branches,
}


whole = importlib.import_module("kerascnn.explain.occlusion")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window, stride, batch_size", [(4, 4, 60), (33, 17, 5)])
def test_the_same_as_from_whole_images(kind, window, stride, batch_size, monkeypatch):
    model = KINDS[kind]()
    images = RANDOM.normal(size=(2, *SHAPE)).astype("float32")
    options = {"window": window, "stride": stride, "value": (0.5, -1.0), "batch_size": batch_size}
    found = explain.occlusion(model, images, [1, 3], **options)
    monkeypatch.setattr(whole, "_regions", lambda *_: None)
    expected = explain.occlusion(model, images, [1, 3], **options)
    assert np.ptp(expected.raw) > 0
    np.testing.assert_allclose(found.raw, expected.raw, atol=2e-5 * abs(expected.scores).max(), rtol=1e-4)


def network(name, shape, **options):
    keras.utils.set_random_seed(0)
    return kerascnn.create_model(name, input_shape=shape, classes=5, **options)


@pytest.mark.after
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "vgg11", "densenet40_k12_bc", "tf_efficientnet_lite0"])
def test_the_networks_of_the_package(name, monkeypatch):
    model = network(name, (64, 64, 3))
    images = RANDOM.normal(size=(1, 64, 64, 3)).astype("float32")
    found = [explain.occlusion(model, images, 2, window=10, stride=10, batch_size=12) for _ in range(2)]  # 5 batches
    monkeypatch.setattr(whole, "_regions", lambda *_: None)
    expected = explain.occlusion(model, images, 2, window=10, stride=10)
    for one in found:
        np.testing.assert_allclose(one.raw, expected.raw, atol=1e-4 * abs(expected.raw).max())


def test_double_precision_and_inner_models(monkeypatch):
    keras.config.set_floatx("float64")
    try:
        inputs = keras.Input(SHAPE)
        inner = keras.Sequential([keras.Input(SHAPE), L.Conv2D(3, 3, padding="same"), L.MaxPooling2D(2)], name="inner")
        model = finished(inputs, L.Conv2D(2, 3, padding="same")(inner(inputs)))
    finally:
        keras.config.set_floatx("float32")
    images = RANDOM.normal(size=(1, *SHAPE)).astype("float32")
    found = explain.occlusion(model, images, 2, window=8, stride=8, batch_size=30)
    monkeypatch.setattr(whole, "_regions", lambda *_: None)
    expected = explain.occlusion(model, images, 2, window=8, stride=8, batch_size=30)
    assert np.ptp(expected.raw) > 0
    np.testing.assert_allclose(found.raw, expected.raw, atol=2e-5 * abs(expected.scores).max())


def made(model, shape, tops, lefts, window):
    graph = walk(prepared(model).network, shape)
    return regions.Regions(graph, np.array(tops), np.array(lefts), window)


def test_boxes_are_as_small_as_a_window_allows():
    """Convolutions of 3x3 add one pixel at each side; a stride halves the box; windows at the border stay inside."""
    model = chain(L.Conv2D(3, 3, padding="same"), L.Conv2D(3, 3, padding="same"), L.Conv2D(3, 1, strides=2))
    found = made(model, SHAPE, [0, 10, 36], [0, 20, 29], 4)
    sizes = [(box.height, box.width) for box in found.boxes.values()]
    assert sizes == [(4, 4), (6, 6), (8, 8), (4, 4)]
    last = list(found.boxes.values())[2]
    np.testing.assert_array_equal(last.tops, [0, 8, 32])
    np.testing.assert_array_equal(last.lefts, [0, 18, 25])


def test_nothing_is_moved_where_boxes_stay():
    """Before kernels of one pixel, and of what is added; a window that has grown is completed."""
    inputs = keras.Input(SHAPE)
    x = L.Conv2D(3, 1)(inputs)
    x = L.Add()([L.Conv2D(3, 1)(L.ReLU()(x)), x])
    x = L.Add()([x, L.Conv2D(3, 3, padding="same")(x)])
    found = made(finished(inputs, x), SHAPE, [5, 30], [8, 29], 4)
    moved = [[gather is not None for gather in step.gathers] for step in found._steps]
    assert moved == [[False], [False], [False], [False, False], [True], [True, False]]


def test_nothing_outside_of_a_box_changes():
    """By the maps of whole images; and every pixel of a box can change."""
    layers = [L.Conv2D(3, 3, padding="same"), L.MaxPooling2D(2), L.Conv2D(3, 5, strides=2, padding="same")]
    model = chain(*layers)
    found = made(model, SHAPE, [13], [9], 5)
    image = RANDOM.normal(size=(1, *SHAPE)).astype("float32")
    changed = np.repeat(image, 40, axis=0)
    changed[:, 13:18, 9:14] += RANDOM.normal(size=(40, 5, 5, 2), scale=9)
    maps = keras.Model(model.input, [layer.output for layer in layers])
    for before, after, box in zip(
        maps(np.repeat(image, 40, axis=0)), maps(changed), list(found.boxes.values())[1:4], strict=True
    ):
        differs = (before != after).numpy().any(axis=(0, 3))
        inside = np.zeros_like(differs)
        top, left = int(box.tops[0]), int(box.lefts[0])
        inside[top : top + box.height, left : left + box.width] = True
        assert not differs[~inside].any()
        rows, columns = differs.any(1).nonzero()[0], differs.any(0).nonzero()[0]
        # The largest box that any window of this size has, which may be one pixel more than this one's.
        assert len(rows) >= box.height - 1 and len(columns) >= box.width - 1


def test_what_spares_nothing_is_computed_whole():
    for model in (
        finished(*(lambda x: (x, L.Conv2D(2, 31, padding="same")(x)))(keras.Input(SHAPE))),
        network("mixer_thin_patch4_32", (32, 32, 3)) if "mixer_thin_patch4_32" in kerascnn.list_models() else chain(),
    ):
        shape = tuple(model.input.shape[1:])
        found = made(model, shape, [0], [0], 16)
        assert not found.saves or len(found.boxes) > 1
    assert not made(chain(), SHAPE, [0], [0], 16).saves


def test_adapters_and_new_weights_are_seen():
    model = chain(L.Conv2D(3, 3, padding="same", name="conv"), L.Conv2D(3, 3, padding="same"))
    images = RANDOM.normal(size=(1, *SHAPE)).astype("float32")
    for _ in range(2):
        before = explain.occlusion(model, images, 2, window=8, stride=8, batch_size=4)
    conv = model.get_layer("conv")
    conv.kernel.assign(2 * conv.kernel)
    after = explain.occlusion(model, images, 2, window=8, stride=8, batch_size=4)
    assert abs(after.raw - before.raw).max() > 1e-3
    conv.enable_lora(2)
    conv.lora_kernel_b.assign(np.ones(conv.lora_kernel_b.shape))
    assert locality.window(conv, (1, *SHAPE)) is None  # two kernels: called as it is
    adapted = explain.occlusion(model, images, 2, window=8, stride=8, batch_size=4)
    assert abs(adapted.raw - after.raw).max() > 1e-3
    covered = images.copy()
    covered[:, :8, :8] = 0
    scores = model(np.concatenate([images, covered]))[:, 2].numpy()
    assert adapted.raw[0, 0, 0] == pytest.approx(scores[0] - scores[1], abs=1e-4)
