"""Transformer encoders over tokens [b, n, d], normalized before each branch.

Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition at scale, 2020, arXiv:2010.11929,
section 3.1. Initial values as in the authors' code: uniform kernels by Glorot's rule, biases N(0, 1e-6).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras

from kerascnn.blocks.drop_path import drop_path
from kerascnn.layers.gelu import gelu
from kerascnn.layers.layer_normalization import LayerNormalization
from kerascnn.layers.plain_conv2d import PlainConv2D
from kerascnn.layers.self_attention import SelfAttention

_GLOROT = keras.initializers.GlorotUniform
# Glorot's, of each d x d part.
_SQUARE = functools.partial(keras.initializers.VarianceScaling, 1.0, mode="fan_in", distribution="uniform")
_BIAS = functools.partial(keras.initializers.RandomNormal, stddev=1e-6)


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What the blocks of an encoder have in common."""

    heads: int
    mlp_ratio: float = 4.0  # hidden width of the MLP / d
    qkv_bias: bool = True  # of the projections to queries, keys and values
    epsilon: float = 1e-6  # of the layer norms
    activation: str | Callable = gelu  # of the MLP: exact GELU, or `kerascnn.layers.tanh_gelu`
    dropout_rate: float = 0.0  # after every dense layer but the one for queries, keys and values (appendix B.1)
    scale: float | None = None  # of the attention's scores; None: 1 / sqrt(d / heads)
    initializer: Callable | None = None  # makes one for a kernel, biases start as zero; None: the authors' of ViT


def layer_norm(x: keras.KerasTensor, epsilon: float = 1e-6, *, name: str) -> keras.KerasTensor:
    """Layer norm over the channels: [..., d] -> [..., d]."""
    return LayerNormalization(epsilon=epsilon, name=name)(x)


def dropout(x: keras.KerasTensor, rate: float, *, name: str) -> keras.KerasTensor:
    """Dropout, where the rate is not 0."""
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


def _dense(x, units, initializer, default, *, use_bias=True, name):
    """A dense layer with the kernel's initial values, and zeros as biases; or with the default and biases near zero."""
    bias = keras.initializers.Zeros() if initializer else _BIAS()
    options = {"kernel_initializer": (initializer or default)(), "bias_initializer": bias}
    return keras.layers.Dense(units, use_bias=use_bias, **options, name=name)(x)


def patch_embedding(
    x: keras.KerasTensor, patch: int, width: int, *, name: str = "patch_embedding"
) -> keras.KerasTensor:
    """A dense layer on each patch, as a convolution: [b, h, w, c] -> [b, h/patch, w/patch, width]."""
    lecun = keras.initializers.LecunNormal()  # Flax's default, as in the authors' code
    return PlainConv2D(width, patch, patch, kernel_initializer=lecun, name=name)(x)


def tokens(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """A map as a sequence, row by row: [b, h, w, d] -> [b, h * w, d]; h and w must be known."""
    return keras.layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]), name=name)(x)


def tokens_to_map(x: keras.KerasTensor, grid: tuple[int, int], *, name: str) -> keras.KerasTensor:
    """The last h * w tokens as a map: [b, n, d] -> [b, h, w, d]; those before them are cut off."""
    prefix = x.shape[1] - grid[0] * grid[1]
    if prefix:
        x = keras.layers.Cropping1D((prefix, 0), name=f"{name}_crop")(x)
    return keras.layers.Reshape((*grid, x.shape[2]), name=name)(x)


def token(x: keras.KerasTensor, index: int = 0, *, name: str) -> keras.KerasTensor:
    """One token: [b, n, d] -> [b, d]; n must be known."""
    x = keras.layers.Cropping1D((index, x.shape[1] - index - 1), name=f"{name}_crop")(x)
    return keras.layers.Reshape((x.shape[2],), name=name)(x)


def self_attention(
    x: keras.KerasTensor,
    heads: int,
    *,
    width: int | None = None,
    qkv_bias: bool = True,
    scale: float | None = None,
    initializer: Any = None,
    name: str,
) -> keras.KerasTensor:
    """Dense to 3 * width (`name`_qkv), attention, dense to `width` (`name`_proj): [b, n, c] -> [b, n, width or c].

    Args:
        x: tokens.
        heads: number of heads, which divides the width.
        width: of queries, keys and values together and of the output; None: as the input.
        qkv_bias: False: the first dense layer has no bias.
        scale: of the scores; None: 1 / sqrt(width / heads).
        initializer: of the kernels, see `Encoder`.
        name: of the block.
    """
    width = width or x.shape[-1]
    y = _dense(x, 3 * width, initializer, _SQUARE, use_bias=qkv_bias, name=f"{name}_qkv")
    y = SelfAttention(heads, scale, name=f"{name}_attention")(y)
    return _dense(y, width, initializer, _SQUARE, name=f"{name}_proj")


def mlp(
    x: keras.KerasTensor,
    hidden: int,
    activation: str | Callable = gelu,
    dropout_rate: float = 0.0,
    *,
    initializer: Any = None,
    name: str,
) -> keras.KerasTensor:
    """Dense to `hidden` (`name`1), activation, dropout, dense to d (`name`2), dropout: [..., d] -> [..., d]."""
    y = x
    for layer, width in (("1", hidden), ("2", x.shape[-1])):
        y = _dense(y, width, initializer, _GLOROT, name=f"{name}{layer}")
        if layer == "1":
            y = keras.layers.Activation(activation, name=f"{name}_activation")(y)
        y = dropout(y, dropout_rate, name=f"{name}_dropout{layer}")
    return y


def residual(x: keras.KerasTensor, y: keras.KerasTensor, rate: float, *, name: str) -> keras.KerasTensor:
    """x + y, where training drops the branch y with probability `rate`; layers `name`_add and `name`_drop_path."""
    return keras.layers.Add(name=f"{name}_add")([x, drop_path(y, rate, name=f"{name}_drop_path")])


def encoder_block(x: keras.KerasTensor, encoder: Encoder, rate: float = 0.0, *, name: str) -> keras.KerasTensor:
    """x + attention(LN(x)), then x + MLP(LN(x)): [b, n, d] -> [b, n, d].

    Args:
        x: tokens.
        encoder: heads, widths and the like.
        rate: probability of dropping each of the two branches of a sample in training.
        name: of the block; its layers are `name`_norm1, _qkv, _attention, _proj, _norm2, _mlp1, _mlp2, ...
    """
    options = {"initializer": encoder.initializer}
    y = layer_norm(x, encoder.epsilon, name=f"{name}_norm1")
    y = self_attention(y, encoder.heads, qkv_bias=encoder.qkv_bias, scale=encoder.scale, **options, name=name)
    y = dropout(y, encoder.dropout_rate, name=f"{name}_proj_dropout")
    x = residual(x, y, rate, name=f"{name}_attention")
    y = layer_norm(x, encoder.epsilon, name=f"{name}_norm2")
    hidden = int(x.shape[-1] * encoder.mlp_ratio)
    y = mlp(y, hidden, encoder.activation, encoder.dropout_rate, **options, name=f"{name}_mlp")
    return residual(x, y, rate, name=f"{name}_mlp")
