"""Receptive fields against gradients, against published numbers, and what is left out."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import analysis, layers, ops
from kerascnn._errors import InputError
from kerascnn.surgery import windows

L = keras.layers


def measured(model):
    """First and last pixel, per axis, that a change of reaches the center of the map; all weights become positive."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, w.shape).astype("float32") for w in model.weights])
    image = tf.constant(rng.uniform(0.5, 1, (1, *model.input_shape[1:])).astype("float32"))
    with ops.native("off"), tf.GradientTape() as tape:
        tape.watch(image)
        y = model(image, training=False)
        center = y[0, y.shape[1] // 2, y.shape[2] // 2]
    moved = np.abs(tape.gradient(center, image).numpy()[0]).sum(axis=-1) > 0
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    assert rows[0] > 0 and columns[0] > 0, "the image is too small for the field"
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def _chain(*steps):
    def build(x):
        for step in steps:
            x = step(x)
        return x

    return build


def _both(one, other, merge=L.add):
    return lambda x: merge([one(x), other(x)])


def _residual(x):
    for filters, stride in ((4, 1), (6, 2), (6, 1)):
        y = L.Conv2D(filters, 3, stride, "same", activation="relu")(x)
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(y))
        if stride > 1:
            x = layers.ZeroPadShortcut(filters, 2)(L.Conv2D(4, 1)(x))
        else:
            x = L.Conv2D(filters, 1)(x)
        x = L.ReLU()(x + y)
    return x


def _encoder_decoder(x):
    small = L.AveragePooling2D(2)(L.Conv2D(3, 3, padding="same")(x))
    small = L.Conv2D(3, 3, padding="same")(small)
    return L.Conv2D(2, 3, padding="same")(L.concatenate([x, L.UpSampling2D()(small)]))


NETWORKS = {
    "one convolution": L.Conv2D(2, 3),
    "rectangles": _chain(L.Conv2D(2, (1, 7), padding="same"), L.Conv2D(2, (5, 1), (2, 1), padding="same")),
    "strides and even windows": _chain(L.Conv2D(2, 4, 2, "same"), L.AveragePooling2D(2), L.Conv2D(2, 3, 2, "same")),
    "dilation": _chain(L.Conv2D(2, 3, dilation_rate=2), L.Conv2D(2, 3, dilation_rate=(3, 1), padding="same")),
    "pools": _chain(L.AveragePooling2D(3, 2, "same"), L.AveragePooling2D(3, 1), L.MaxPooling2D(1, 2)),
    "depthwise and separable": _chain(L.DepthwiseConv2D(3, 2), L.SeparableConv2D(3, 5, padding="same")),
    "explicit padding": _chain(layers.Conv2D(2, 5, 2, 2), layers.DepthwiseConv2D(3, 2, ((0, 1), (1, 0)))),
    "padding and cropping": _chain(L.ZeroPadding2D(((2, 0), (0, 1))), L.Conv2D(2, 3, 2), L.Cropping2D(1)),
    "table and sub-sampling": _chain(layers.ConnectionTableConv2D(((0,), (0, 1)), 5), layers.Subsampling2D()),
    "dense layers in between": _chain(L.Conv2D(2, 3), L.Dense(3, "relu"), layers.ChannelPool(), L.Conv2D(2, 3)),
    "channel shuffle": _chain(
        L.Conv2D(4, 3), L.Reshape((45, 45, 2, 2)), L.Permute((1, 2, 4, 3)), L.Reshape((45, 45, 4)), L.Conv2D(4, 3)
    ),
    "branches": _both(L.Conv2D(2, 3, 2, "same"), L.Conv2D(2, 7, 2, "same"), L.concatenate),
    "branches that are not aligned": _both(L.Cropping2D(((0, 4), (1, 3))), L.Cropping2D(((4, 0), (3, 1)))),
    "residual blocks": _residual,
    "windows": _chain(
        L.Conv2D(6, 2, 2),
        layers.PadToMultiple(4),
        layers.WindowAttention(1, 4),
        L.Dense(6),
        layers.WindowAttention(1, 4, 2),
    ),
    "merged patches": _chain(layers.PatchMerging(), L.Conv2D(2, 3), layers.PatchMerging()),
    "transposed": _chain(L.Conv2D(2, 3, 2, "same"), L.Conv2DTranspose(2, 4, 2, "same"), L.Conv2D(2, 3)),
    "transposed without padding": _chain(L.Conv2D(2, 3, 3), L.Conv2DTranspose(2, 5, 3), L.Conv2D(2, 2)),
    "up-sampling": _encoder_decoder,
    "cropped to another map": lambda x: layers.CropLike(2)([L.Conv2D(2, 3, 2)(x), L.Conv2D(2, 9, 3)(x)]),
    "resized to another map": lambda x: layers.ResizeLike()([L.Conv2D(2, 3, 3)(x), L.Cropping2D(4)(x)]),
    "fixed up-sampling": _chain(L.Conv2D(2, 3, 3), layers.BilinearUpsampling2D(2, 4, "valid")),
    "bilinear up-sampling": _chain(
        L.Conv2D(2, 3, 2, "same"), L.UpSampling2D(interpolation="bilinear"), L.Conv2D(2, 2, padding="same")
    ),
}


SIZES = {"channel shuffle": [(47, 47)], "up-sampling": [(46, 48)]}  # else even and odd ones


@pytest.mark.parametrize(
    "name, size", [(name, size) for name in NETWORKS for size in SIZES.get(name, [(46, 47), (47, 46)])]
)
def test_as_gradients_tell(name, size):
    image = keras.Input((*size, 2))
    model = keras.Model(image, NETWORKS[name](image))
    found = analysis.receptive_field(model)
    assert found.size == measured(model)
    assert found.unknown == () and found.left_out == ()


def test_where_units_lie():
    image = keras.Input((40, 44, 1))
    field = analysis.receptive_field(keras.Model(image, L.Conv2D(1, 4, 3)(L.Conv2D(1, 3, 2, padding="valid")(image))))
    assert field.size == (9, 9) and field.stride == (6, 6) and field.origin == (4, 4)
    padded = keras.Model(image, layers.Conv2D(1, 4, 2, ((1, 2), (3, 0)))(image))
    assert analysis.receptive_field(padded).origin == (0.5, -1.5)


def test_a_resized_map_of_the_whole_image_is_left_out():
    image = keras.Input((24, 24, 2))
    whole = layers.ResizeLike(name="resized")([L.GlobalAveragePooling2D(keepdims=True)(image), image])
    field = analysis.receptive_field(keras.Model(image, L.concatenate([L.Conv2D(2, 3, padding="same")(image), whole])))
    assert field.size == (3, 3) and len(field.left_out) == 1


def test_every_layer_of_this_package_has_its_place():
    own = {kind for kind in vars(layers).values() if inspect.isclass(kind) and issubclass(kind, L.Layer)}
    own = {kind for kind in own if not issubclass(kind, keras.Model | L.InputLayer)}
    placed = set(windows.WINDOWS) | windows.POINTWISE | windows.MIXING
    missing = {kind.__name__ for kind in own if not placed & set(kind.__mro__)}
    assert not missing, f"add to WINDOWS, POINTWISE or MIXING in kerascnn/analysis/windows.py: {sorted(missing)}"


def test_stride():
    image = keras.Input((64, 64, 1))
    x = L.Conv2D(1, 3, (4, 2), "same")(image)
    assert analysis.receptive_field(keras.Model(image, x)).stride == (4, 2)
    assert analysis.receptive_field(keras.Model(image, L.UpSampling2D(4)(x))).stride == (1, 0.5)


@pytest.mark.parametrize("name, size", [("alexnet", 195), ("lenet5", 32)])
def test_networks(name, size):
    found = analysis.receptive_field(kerascnn.create_model(name))
    assert found.size == (size, size) and found.unknown == ()


@pytest.mark.parametrize(
    "name, size",
    [  # table 1 of Araujo et al. 2019; LeCun et al. 1998: C5 sees all 32 pixels
        ("alexnet", 195),
        ("bn_inception", 699),
        ("inception_resnet_v2", 3039),
        ("inception_v3_keras", 1311),
        ("inception_v4", 2071),
        ("lenet5", 32),
        ("mobilenetv1_100", 315),
        ("resnet50_v1", 483),
        ("resnet101_v1", 1027),
        ("resnet152_v1", 1507),
        ("vgg16", 212),
    ],
)
def test_recorded_fields_are_the_published_ones(name, size):
    recorded = kerascnn.model_info(name).receptive_field
    if recorded is None:
        pytest.skip("python tools/golden.py --record")
    assert recorded == size


def test_gates_are_left_out_and_named():
    image = keras.Input((32, 32, 2))
    x = L.Conv2D(4, 3, padding="same", name="conv")(image)
    gate = L.Conv2D(4, 1)(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Multiply(name="scale")([x, gate])
    pooled = L.Dense(3)(L.GlobalAveragePooling2D()(x))
    found = analysis.receptive_field(keras.Model(image, pooled))
    assert found.size == (3, 3) and found.left_out == ("scale",) and found.layer == "scale"


def test_the_last_map_is_what_the_head_reads():
    inner_in = keras.Input((30, 30, 3))
    inner = keras.Model(inner_in, L.Conv2D(4, 3, name="last")(L.Conv2D(4, 3, 2)(inner_in)), name="inner")
    image = keras.Input((30, 30, 3))
    x = L.Dense(5)(L.Dropout(0.5)(L.Flatten()(inner(image))))
    found = analysis.receptive_field(keras.Model(image, x))
    assert found.layer == "inner/last" and found.size == (7, 7)


def test_of_several_outputs_the_last_counts():
    image = keras.Input((30, 30, 3))
    x = L.Conv2D(4, 3, name="one")(image)
    y = L.Conv2D(4, 3, name="two")(x)
    assert analysis.receptive_field(keras.Model(image, [L.Identity()(x), y])).layer == "two"
    assert analysis.receptive_field(keras.Model(image, [y, L.Identity(name="x")(x)])).layer == "x"


def _tokens(*between):
    """Patches, flattened to 30 tokens, and layers on them."""
    image = keras.Input((20, 24, 3))
    x = L.Reshape((30, 6))(L.Conv2D(6, 4, 4)(image))
    for layer in between:
        x = layer(x)
    return image, x


def test_attention_sees_the_whole_image():
    image, x = _tokens(layers.SelfAttention(2, name="attention"))
    for output in (x, L.Reshape((5, 6, 2))(x), L.Dense(3)(L.Flatten()(L.Cropping1D((0, 29))(x)))):
        found = analysis.receptive_field(keras.Model(image, output))
        assert (found.size, found.stride) == ((20, 24), (0, 0)) and found.unknown == found.left_out == ()
    assert found.layer == "attention"
    on_map = L.MultiHeadAttention(2, 3, attention_axes=(1, 2))
    x = L.Conv2D(6, 4, 4)(image)
    assert analysis.receptive_field(keras.Model(image, on_map(x, x))).size == (20, 24)


def test_a_map_that_was_flattened_sees_the_whole_image():
    image, x = _tokens(L.Permute((2, 1)), L.Dense(30), L.Permute((2, 1)))
    found = analysis.receptive_field(keras.Model(image, L.Reshape((5, 6, 6), name="map")(x)))
    assert (found.size, found.stride, found.layer) == ((20, 24), (0, 0), "map")
    pooled = L.GlobalAveragePooling2D()(L.Reshape((5, 6, 6))(x))
    assert analysis.receptive_field(keras.Model(image, pooled)).size == (20, 24)
    image = keras.Input((None, None, 3))
    x = L.MultiHeadAttention(2, 3, attention_axes=(1, 2))(*[L.Conv2D(6, 4, 4)(image)] * 2)
    with pytest.raises(InputError, match="pass input_shape"):
        analysis.receptive_field(keras.Model(image, x))


def test_open_sizes():
    image = keras.Input((None, None, 3))
    valid = keras.Model(image, L.Conv2D(4, 3, padding="same")(L.Conv2D(4, 3, 2)(image)))
    assert analysis.receptive_field(valid).size == (7, 7)
    same = keras.Model(image, L.Conv2D(4, 3, 2, padding="same")(image))
    assert analysis.receptive_field(same, (8, 8, 3)).size == (3, 3)
    with pytest.raises(InputError, match="pass input_shape"):
        analysis.receptive_field(same)


def test_what_is_unknown_is_named():
    class Own(L.Layer):
        def call(self, x):
            return x

    image = keras.Input((30, 30, 3))
    x = L.Conv2D(4, 3)(Own(name="own")(image))
    found = analysis.receptive_field(keras.Model(image, x))
    assert found.size == (3, 3) and found.unknown == ("own (Own)",)
    x = L.Dense(3)(L.Lambda(lambda x: x[:, 0, 0], output_shape=(4,), name="first")(x))
    assert analysis.receptive_field(keras.Model(image, x)).unknown == ("own (Own)", "first (Lambda)")


def test_sequences_and_models_without_images():
    x = keras.Input((50, 3))
    found = analysis.receptive_field(keras.Model(x, L.Conv1D(4, 3, padding="causal", dilation_rate=4)(x)))
    assert found.size == (9,) and found.stride == (1,)
    x = keras.Input((3,))
    with pytest.raises(InputError, match="feature map"):
        analysis.receptive_field(keras.Model(x, L.Dense(2)(x)))
