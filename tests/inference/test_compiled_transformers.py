"""compile on transformers: the Keras network's numbers, what is fused, and what is not computed at all."""

import keras
import pytest
from compiled_checks import check, kinds

import kerascnn
from kerascnn import layers
from kerascnn.blocks import transformer

L = keras.layers


def test_a_small_vit():
    check(kerascnn.create_model("vit_thin_patch4_32"), (32, 32, 3))


@pytest.mark.after
@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("vit_small_patch16_224", (96, 80, 3)), ("mixer_s16_224", (64, 96, 3)), ("pit_ti_224", (80, 64, 3)),
        ("swin_tiny_patch4_window7_224", (90, 112, 3)), ("pit_xs_distilled_224", (64, 64, 3)),
        ("t2t_vit_t_14", (64, 48, 3)),
    ],
)  # fmt: skip
def test_transformers(name, shape, batch):
    """Swin's maps are 23 x 28 places at first, which windows of 7 do not tile."""
    check(kerascnn.create_model(name, input_shape=shape), shape, batch)


@pytest.mark.after
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_whole_size(batch):
    check(kerascnn.create_model("vit_small_patch16_224"), (224, 224, 3), batch)


def encoder(images, grid, blocks=1):
    """A ViT of width 24 in patches of 2, up to its tokens."""
    x = transformer.patch_embedding(images, 2, 24)
    x = layers.ClassToken()(transformer.tokens(x, name="tokens"))
    x = layers.PositionEmbedding(grid, prefix=1)(x)
    for i in range(blocks):
        x = transformer.encoder_block(x, transformer.Encoder(heads=3), name=f"block{i}")
    return transformer.layer_norm(x, name="final_norm")


def test_what_is_fused():
    """Sums, GELU and positions are no instructions of their own."""
    images = L.Input((6, 8, 3))
    x = L.GlobalAveragePooling1D()(encoder(images, (3, 4)))
    model = keras.Model(images, L.Dense(5)(x))
    block = ["norm", "conv", "attention", "conv", "norm", "conv", "conv"]
    assert kinds(model) == ["conv", "reshape", "stack", *block, "norm", "mean", "conv"]
    check(model, (6, 8, 3))


def test_tokens_that_nothing_reads_are_not_computed():
    images = L.Input((6, 8, 3))
    x = transformer.token(encoder(images, (3, 4), blocks=2), name="first")
    model = keras.Model(images, L.Dense(5)(x))
    block = ["norm", "conv", "attention", "conv", "norm", "conv", "conv"]
    last = ["norm", "conv", "attention", "crop", "crop", "conv", "norm", "conv", "conv"]
    assert kinds(model) == ["conv", "reshape", "stack", *block, *last, "norm", "conv"]
    check(model, (6, 8, 3))


def test_tokens_that_something_reads_besides():
    """A crop stays behind a value that another layer reads whole."""
    images = L.Input((6, 8, 3))
    x = encoder(images, (3, 4))
    mean = L.GlobalAveragePooling1D()(x)
    first, second = (transformer.token(x, i, name=f"token{i}") for i in (0, 1))
    check(keras.Model(images, L.Concatenate()([first, second, mean, L.Add()([first, mean])])), (6, 8, 3))


def test_token_layers():
    """Each on a map that nothing simplifies; sizes that are no multiples."""
    images = L.Input((9, 7, 6))
    x = L.Conv2D(12, 3, padding="same")(images)
    y = layers.PadToMultiple(4)(x)
    y = layers.WindowAttention(2, 4, 1)(L.Dense(36)(y))
    y = layers.CropLike(1)([y, L.AveragePooling2D(2)(x)])
    z = layers.Unfold2D(3, 2, 1)(layers.SamePadding2D(3, 2)(x))
    t = L.Reshape((6, 63))(layers.ChannelSlice(2, 11)(L.Cropping2D(((1, 1), (0, 1)))(L.Conv2D(18, 1)(x))))
    t = L.Permute((2, 1))(L.Permute((1, 2))(t))
    t = L.LayerNormalization(scale=False)(L.Concatenate(axis=1)([t, L.Dense(6)(t)]))
    parts = [
        L.GlobalAveragePooling2D()(y),
        L.GlobalMaxPooling2D()(z),
        L.Flatten()(layers.PatchMerging()(y)),
        L.Flatten()(t),
    ]
    check(keras.Model(images, L.Concatenate()(parts)), (9, 7, 6), 3)


def test_merges():
    """Sums and means of several, and of the same value."""
    images = L.Input((8, 8, 4))
    a, b, c = (L.Conv2D(4, 1)(images) for _ in range(3))
    x = L.Add()([a, b, c, a])
    y = L.Average()([a, b, c])
    z = layers.ShakeShake()([x, y])
    z = L.Average()([z, layers.ZeroPadShortcut(4)(L.Rescaling(0.3, -0.1)(x))])
    pooled = L.AdaptiveAveragePooling2D((4, 2))(layers.ZeroPadShortcut(7, 2)(z))
    check(keras.Model(images, pooled), (8, 8, 4))
