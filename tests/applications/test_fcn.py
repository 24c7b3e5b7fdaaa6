"""What sets FCN apart: where crops begin, that scores start at zero, how one network starts the next."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import analysis
from kerascnn._errors import InputError
from kerascnn.applications import fcn
from kerascnn.weights import copy_weights

COARSE_AND_FINE = ("fcn32s_vgg11_bn_small", "fcn16s_vgg11_bn_small")
SIZES = [(500, 500), (17, 1), (33, 64)]


def shapes_only(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return kerascnn.create_model(name, **options)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_all_parameters_with_the_fixed_kernels(stride):
    """The authors' prototxt files hold a dense kernel for each up-sampling."""
    model = shapes_only(f"fcn{stride}s_vgg16", input_shape=(32, 32, 3))
    assert model.count_params() == {32: 136_152_917, 16: 134_815_994, 8: 134_489_759}[stride]


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", SIZES)
def test_the_map_has_the_size_of_any_image(stride, size):
    assert shapes_only(f"fcn{stride}s_vgg16", input_shape=(*size, 3)).output_shape == (None, *size, 21)


def middles(model, layer):
    """The pixel in the middle of what the unit 0 of a layer sees, and the pixels between units."""
    field = analysis.receptive_field(keras.Model(model.input, model.get_layer(layer).output), (250, 250, 3))
    return field.origin[0], field.stride[0]


def enlarged(origin, stride, factor, border):
    """The same after up-sampling by a kernel of 2 * factor taps; without a border half a factor is cut away."""
    middle = (factor if border else factor / 2) - 0.5  # of what unit 0 becomes
    return origin - stride / factor * middle, stride / factor


@pytest.mark.parametrize("border", [100, 0])
def test_scores_that_are_added_look_at_the_same_pixels_and_lie_there(border):
    spec = dataclasses.replace(kerascnn.model_info("fcn8s_vgg11_bn_small").spec, border=border, window=7)
    model = shapes_only("fcn8s_vgg11_bn_small", spec=spec, input_shape=(250, 250, 3))
    image_crop = fcn.IMAGE_CROP if border else dict.fromkeys((32, 16, 8), 0)
    place = middles(model, "head")
    for pool, crop in (("pool4", fcn.POOL4_CROP), ("pool3", fcn.POOL3_CROP)):
        origin, stride = enlarged(*place, int(place[1]), border)
        assert (origin + image_crop[place[1]], stride) == (0, 1)
        origin, stride = place = enlarged(*place, 2, border)
        pool_origin, pool_stride = middles(model, f"head_{pool}_score")
        assert (pool_origin + pool_stride * (crop if border else 0), pool_stride) == place
    origin, stride = enlarged(*place, 8, border)
    assert (origin + image_crop[8], stride) == (0, 1)


def by_hand(x, w, stride, size):
    """The authors' net.py of each network in plain TensorFlow: pad 100, pools that round up, fixed crops."""

    def conv(x, name, padding=0):
        x = tf.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        return tf.nn.conv2d(x, w[f"{name}/kernel"], 1, "VALID") + w[f"{name}/bias"]

    def enlarged(x, factor):
        taps = 1 - np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
        kernel = np.einsum("i,j,cd->ijcd", taps, taps, np.eye(x.shape[3])).astype("float32")
        shape = (1, factor * (x.shape[1] + 1), factor * (x.shape[2] + 1), x.shape[3])
        return tf.nn.conv2d_transpose(x, kernel, shape, factor, "VALID")

    pools = []
    for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, depth + 1):
            x = tf.nn.relu(conv(x, f"stage{stage}_conv{i}", 100 if stage == i == 1 else 1))
        edges = [(0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)]
        x = tf.nn.max_pool2d(tf.pad(x, edges), 2, 2, "VALID")  # of what a ReLU made, so that zeros do not count
        pools.append(x)
    x = conv(tf.nn.relu(conv(tf.nn.relu(conv(x, "fc6")), "fc7")), "head")
    for pool, crop, name in ((pools[3], 5, "pool4"), (pools[2], 9, "pool3"))[: {32: 0, 16: 1, 8: 2}[stride]]:
        x = enlarged(x, 2)
        x += conv(pool, f"head_{name}_score")[:, crop : crop + x.shape[1], crop : crop + x.shape[2]]
    crop = {32: 19, 16: 27, 8: 31}[stride]
    return enlarged(x, stride)[:, crop : crop + size[0], crop : crop + size[1]]


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_equals_the_authors_network_written_by_hand(stride):
    """With few channels."""
    name, size = f"fcn{stride}s_vgg16", (83, 120)
    row = dataclasses.replace(kerascnn.model_info(name).spec, widths=(4, 6, 8, 10, 12), hidden=16)
    model = kerascnn.create_model(name, spec=row, classes=5, input_shape=(*size, 3), classifier_activation=None)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 100
        variable.assign(rng.normal(0, (2 / fan_in) ** 0.5, variable.shape))
    weights = {variable.path: variable.numpy() for variable in model.trainable_variables}
    x = rng.normal(size=(1, *size, 3)).astype("float32")
    expected = by_hand(x, weights, stride, size).numpy()
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_scores_start_at_zero():
    model = kerascnn.create_model("fcn8s_vgg11_bn_small", classifier_activation=None, classes=3)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    assert not np.any(model(x))


def test_a_coarser_network_starts_a_finer_one():
    """Its new scores are zero, so that both see the same, but for how they interpolate."""
    options = {"classifier_activation": None, "classes": 4, "input_shape": (96, 96, 3)}
    coarse, fine = (kerascnn.create_model(each, **options) for each in COARSE_AND_FINE)
    rng = np.random.default_rng(1)
    coarse.get_layer("head").set_weights([rng.normal(size=(1, 1, 256, 4)), np.zeros(4)])
    copied = copy_weights(coarse, fine)
    missing = {f"{layer.name}/{v.name}" for layer in fine.layers for v in layer.weights} - set(copied)
    assert missing == {
        "head_pool4_score/kernel", "head_pool4_score/bias", "head_pool4_upscore/kernel", "head_upscore/kernel",
    }  # fmt: skip
    x = rng.normal(size=(1, 96, 96, 3)).astype("float32")
    one, two = coarse(x).numpy()[:, 16:-16, 16:-16], fine(x).numpy()[:, 16:-16, 16:-16]
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.98


def test_pools_may_be_scaled():
    row = kerascnn.model_info("fcn8s_vgg11_bn_small").spec
    model = kerascnn.create_model("fcn8s_vgg11_bn_small", spec=dataclasses.replace(row, pool_scales=(0.01, 1e-4)))
    assert [model.get_layer(f"head_{pool}_scale").scale for pool in ("pool4", "pool3")] == [0.01, 1e-4]


def test_a_file_with_other_classes_keeps_all_but_the_scores(tmp_path):
    one = kerascnn.create_model("fcn8s_vgg11_bn_small", classes=3)
    one.save_weights(tmp_path / "one.weights.h5")
    other = kerascnn.create_model("fcn8s_vgg11_bn_small", classes=5, weights=tmp_path / "one.weights.h5")
    np.testing.assert_array_equal(other.get_layer("fc7").get_weights()[0], one.get_layer("fc7").get_weights()[0])
    assert other.output_shape[-1] == 5


def test_classes_by_area():
    preds = np.zeros((1, 2, 4, 3), "float32")
    preds[0, :, :, 2] = 1
    preds[0, 0, 0] = (2, 0, 0)
    assert fcn.decode_predictions(preds) == [[(2, 0.875), (0, 0.125)]]
    assert fcn.decode_predictions(preds, top=1, class_names=["a", "b", "c"]) == [[("c", 0.875)]]
    with pytest.raises(InputError, match="height, width, classes"):
        fcn.decode_predictions(preds[0])
    with pytest.raises(InputError, match="one name per class"):
        fcn.decode_predictions(preds, class_names=["a"])
