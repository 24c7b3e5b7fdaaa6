"""compile and lowering: the Keras network's numbers, what is fused, exports, refusals."""

import keras
import numpy as np
import pytest
from compiled_checks import check, kinds, shaken

import kerascnn
from kerascnn import inference, ops, serving, surgery
from kerascnn._errors import InputError

L = keras.layers
NATIVE = ops.build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + ops.build_info()["reason"])


SMALL = ["lenet5", "mobilenetv2_035", "efficientnet_b0", "squeezenet1_1", "resnet18"]


@pytest.mark.parametrize("name", SMALL)
def test_networks(name):
    shape = (32, 32, 1) if name == "lenet5" else (61, 45, 3)
    options = {} if name == "lenet5" else {"input_shape": shape}
    check(kerascnn.create_model(name, **options), shape)


@pytest.mark.parametrize("name", ["mobilenetv2_035", "resnet18", "vit_thin_patch4_32"])
def test_in_8_bits(name):
    """All products but the first, the last, and those of depthwise convolutions; a hundredth from the network's."""
    model = shaken(surgery.logits_of(kerascnn.create_model(name, input_shape=(32, 32, 3))))
    steps = inference.lowered(model, quantize="int8").instructions
    products = [step.kind for step in steps if step.filter >= 0]
    assert products[0] == products[-1] == "conv" and products.count("conv_int8") > len(products) // 3
    images = np.random.default_rng(1).normal(size=(3, 32, 32, 3)).astype("float32")
    expected = model(images, training=False).numpy()
    error = np.abs(inference.compile(model, quantize="int8")(images) - expected)
    assert 1e-6 < error.max() / np.abs(expected).max() < 0.05
    assert np.sqrt(np.mean(error**2)) < 0.03 * expected.std()
    with pytest.raises(InputError, match="quantize must be one of int8. Received: quantize='int4'"):
        inference.compile(model, quantize="int4")


@pytest.mark.after
@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize(
    "name",
    [
        "resnet50", "mobilenetv2_100", "efficientnet_lite0", "densenet121", "vgg11", "resnext50_32x4d",
        "mobilenetv1_100", "seresnet50", "googlenet", "inception_v3",
    ],
)  # fmt: skip
def test_larger_networks(name, batch):
    shape = {"vgg11": (224, 224, 3), "inception_v3": (107, 91, 3)}.get(name, (97, 75, 3))
    check(kerascnn.create_model(name, input_shape=shape), shape, batch)


def block(x, filters, activation="relu"):
    x = L.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return L.Activation(activation)(L.BatchNormalization()(x))


def test_what_is_fused():
    images = L.Input((16, 16, 3))
    x = block(L.ZeroPadding2D(1)(images), 8)
    y = L.BatchNormalization()(L.Conv2D(8, 1)(x))
    x = L.ReLU(max_value=6)(L.Add()([x, y]))
    gate = L.Conv2D(8, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Conv2D(4, 1)(L.Multiply()([x, gate]))
    x = L.ReLU()(L.BatchNormalization()(L.Concatenate()([x, L.Conv2D(4, 3, padding="same")(x)])))
    x = L.Conv2D(4, 1)(x)
    model = keras.Model(images, L.Dense(3, activation="softmax")(L.Flatten()(x)))
    expected = ["pool", "conv", "conv", "mean", "conv", "conv", "conv", "concat", "conv", "flatten", "conv", "softmax"]
    assert kinds(model) == expected  # the pool is the padding, which "same" does not take
    check(model, (16, 16, 3))


def test_what_is_read_twice_is_not_fused():
    images = L.Input((8, 8, 3))
    a = L.Conv2D(3, 1)(images)
    b = L.ReLU()(a)
    gate = L.GlobalAveragePooling2D(keepdims=True)(b)
    c = L.Multiply()([b, gate])
    d = L.Conv2D(3, 1)(c)
    model = keras.Model(images, L.Add()([L.Add()([a, c]), L.Add()([d, d])]))
    check(model, (8, 8, 3))


def test_padding_before_pools_counts_as_zeros():
    images = L.Input((9, 9, 4))
    x = L.MaxPooling2D(3, 2)(L.ZeroPadding2D(((0, 1), (1, 1)))(images))
    y = L.AveragePooling2D(3, 2)(L.ZeroPadding2D(((0, 1), (1, 1)))(images))
    z = L.AveragePooling2D(3, 2, padding="same")(images)
    w = kerascnn.layers.MaxPooling2D(3, 2, padding=((1, 1), (1, 1)))(images)
    model = keras.Model(images, L.Concatenate()([x, y]))
    check(model, (9, 9, 4))
    check(keras.Model(images, L.Concatenate()([z, w])), (9, 9, 4))


@pytest.mark.parametrize("scale_at", ["training", "inference"])
def test_drop_path_as_at_inference(scale_at):
    image = keras.Input((6, 6, 4))
    x = keras.layers.Conv2D(4, 1)(image)
    x = x + kerascnn.layers.DropPath(0.4, scale_at=scale_at)(keras.layers.Conv2D(4, 3, padding="same")(x))
    check(keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))), (6, 6, 4))


def test_images_of_any_size():
    images = L.Input((None, None, 3))
    model = keras.Model(images, L.Dense(5)(L.GlobalAveragePooling2D()(block(images, 7, "silu"))))
    check(model, (11, 6, 3))
    check(model, (5, 23, 3), 3)


def test_the_images_themselves():
    images = L.Input((4, 4, 3))
    model = keras.Model(images, L.Dropout(0.5)(images))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_array_equal(inference.compile(model)(x), x)


def test_a_predictor_gives_probabilities():
    model = kerascnn.create_model("lenet5")
    predictor = inference.Predictor.from_model(model, [str(i) for i in range(10)])
    images = np.random.default_rng(0).normal(size=(3, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(inference.compile(predictor)(images), predictor.predict(images), atol=1e-6)


def test_without_native_ops():
    images = L.Input((8, 8, 3))
    model = keras.Model(images, block(images, 5))
    with ops.native("off"):
        check(model, (8, 8, 3))


def test_what_cannot_be_lowered():
    images = L.Input((8, 8, 3))
    for layer, name in ((L.LeakyReLU(), "LeakyReLU"), (L.Conv2DTranspose(3, 3), "Conv2DTranspose"),
                        (L.ReLU(threshold=1), "ReLU"), (L.Activation("elu"), "Activation")):  # fmt: skip
        with pytest.raises(InputError, match=f"an instruction of an inference program stands for.*{name}"):
            inference.compile(keras.Model(images, layer(images)))
    with pytest.raises(InputError, match="one list of images"):
        inference.lowered(keras.Model([images, other := L.Input((8, 8, 3))], L.Add()([images, other])))
    with pytest.raises(InputError, match="network must be a Predictor or a keras.Model"):
        inference.compile("resnet50")


def test_images_of_another_shape():
    compiled = inference.compile(kerascnn.create_model("lenet5"))
    with pytest.raises(InputError, match=r"images must have the shape \[n, \*\(32, 32, 1\)\]"):
        compiled(np.zeros((2, 32, 31, 1)))
    assert compiled(np.zeros((0, 32, 32, 1))).shape == (0, 10)


@pytest.mark.after
@needs_native
def test_a_native_export_is_one_op(tmp_path):
    model = shaken(kerascnn.create_model("lenet5"))
    folder = serving.export(model, tmp_path, native=True, class_names=[str(i) for i in range(10)])
    loaded = inference.saved_model.load(folder)
    images = np.random.default_rng(0).normal(size=(3, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(loaded.predict(images), model(images, training=False), atol=1e-5)
    assert loaded.native
