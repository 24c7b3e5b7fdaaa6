"""T2T-ViT: a deep, narrow vision transformer, before which neighboring tokens are merged into one, twice.

Li Yuan, Yunpeng Chen, Tao Wang, Weihao Yu, Yujun Shi, Zihang Jiang, Francis EH Tay, Jiashi Feng, Shuicheng Yan:
Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet, 2021, arXiv:2101.11986, as released
(yitu-opensource/T2T-ViT).

Overlapping patches, 7x7/4, go through a layer of attention whose tokens, as a map again, are cut into patches 3x3/2,
and so once more. These layers attend by random features (`t2t_vit_*`, Performer) or in full (`t2t_vit_t_*`); for want
of a sum of equal widths their shortcut is the values. What is fixed, the sines and cosines of the positions and the
random features, is saved with the model. Another `input_shape` is another number of tokens: `weights=` resizes the
positions.

Departures: images may be oblong. The released weights were trained with scores multiplied by 1 / sqrt(width); the
authors' code for training, and the networks here, have 1 / sqrt(width / heads). To run those weights:
`spec=dataclasses.replace(model_info(name).spec, released_scale=True)`.
"""

import dataclasses
import functools

import keras

from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import linear_rates, transformer
from kerascnn.layers import ChannelSlice, ClassToken, PerformerAttention, SelfAttention, SinusoidEmbedding, Unfold2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """Table 1 of the paper."""

    width: int  # channels of a token
    depth: int  # blocks of the backbone
    heads: int
    mlp_ratio: float  # hidden width of an MLP / width
    performer: bool = True  # attention before the backbone by random features; False: in full
    token_width: int = 64  # channels of a token before the backbone
    released_scale: bool = False  # scores of the backbone times 1 / sqrt(width), as the released weights were trained


VARIANTS = {
    "t2t_vit_7": Spec(256, 7, 4, 2),
    "t2t_vit_10": Spec(256, 10, 4, 2),
    "t2t_vit_12": Spec(256, 12, 4, 2),
    "t2t_vit_14": Spec(384, 14, 6, 3),
    "t2t_vit_19": Spec(448, 19, 7, 3),
    "t2t_vit_24": Spec(512, 24, 8, 3),
    "t2t_vit_t_14": Spec(384, 14, 6, 3, performer=False),
    "t2t_vit_t_19": Spec(448, 19, 7, 3, performer=False),
    "t2t_vit_t_24": Spec(512, 24, 8, 3, performer=False),
}

EPSILON = 1e-5  # of the layer norms
NORMAL = functools.partial(keras.initializers.TruncatedNormal, stddev=0.02)  # of dense layers and the class token
DROPOUT = 0.1  # after the two branches of a Performer layer, in training


def dense(x, units, *, use_bias=True, name):
    """Dense layer on the channels."""
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=NORMAL(), name=name)(x)


def performer_attention(x, width, seed, *, name):
    """Dense to keys, queries and values, attention by random features, dense, dropout; plus the values."""
    kqv = dense(x, 3 * width, name=f"{name}_kqv")
    y = PerformerAttention(width // 2, seed, name=f"{name}_attention")(kqv)
    y = keras.layers.Dropout(DROPOUT, name=f"{name}_dropout")(dense(y, width, name=f"{name}_proj"))
    return keras.layers.Add(name=f"{name}_attention_add")([ChannelSlice(2 * width, name=f"{name}_value")(kqv), y])


def full_attention(x, width, *, name):
    """Dense without bias to queries, keys and values, attention with one head, dense; plus the values.

    Scores are multiplied by 1 / sqrt(channels of x), not of the queries, as released.
    """
    qkv = dense(x, 3 * width, use_bias=False, name=f"{name}_qkv")
    y = SelfAttention(1, x.shape[-1] ** -0.5, name=f"{name}_attention")(qkv)
    y = dense(y, width, name=f"{name}_proj")
    return keras.layers.Add(name=f"{name}_attention_add")([ChannelSlice(2 * width, name=f"{name}_value")(qkv), y])


def token_layer(x, i, spec, *, name):
    """LN, attention to `token_width` channels; plus LN, MLP: a map to a map."""
    grid, width = x.shape[1:3], spec.token_width
    x = transformer.layer_norm(transformer.tokens(x, name=f"{name}_tokens"), EPSILON, name=f"{name}_norm1")
    if spec.performer:
        x = performer_attention(x, width, i, name=name)
    else:
        x = full_attention(x, width, name=name)
    y = transformer.layer_norm(x, EPSILON, name=f"{name}_norm2")
    y = transformer.mlp(y, width, initializer=NORMAL, name=f"{name}_mlp")
    y = transformer.dropout(y, DROPOUT if spec.performer else 0.0, name=f"{name}_mlp_dropout")
    x = transformer.residual(x, y, 0.0, name=f"{name}_mlp")
    return transformer.tokens_to_map(x, grid, name=f"{name}_map")


def features(x, spec: Spec, *, dropout_rate: float = 0.0, drop_path_rate: float = 0.0):
    """Maps [b, h/4, w/4, 64], [b, h/8, w/8, 64], [b, h/16, w/16, width], the last normed; and the class token."""
    s1 = token_layer(Unfold2D(7, 4, 2, name="split1")(x), 1, spec, name="tokens1")
    s2 = token_layer(Unfold2D(3, 2, 1, name="split2")(s1), 2, spec, name="tokens2")
    x = dense(Unfold2D(3, 2, 1, name="split3")(s2), spec.width, name="project")
    grid = x.shape[1:3]
    x = ClassToken(1, NORMAL(), name="class_token")(transformer.tokens(x, name="tokens"))
    x = SinusoidEmbedding(grid, prefix=1, name="position_embedding")(x)
    x = transformer.dropout(x, dropout_rate, name="position_dropout")
    encoder = transformer.Encoder(
        spec.heads,
        spec.mlp_ratio,
        qkv_bias=False,
        epsilon=EPSILON,
        dropout_rate=dropout_rate,
        scale=spec.width**-0.5 if spec.released_scale else None,
        initializer=NORMAL,
    )
    for b, rate in enumerate(linear_rates(drop_path_rate, [spec.depth])[0], 1):
        x = transformer.encoder_block(x, encoder, rate, name=f"block{b}")
    x = transformer.layer_norm(x, EPSILON, name="final_norm")
    return [s1, s2, transformer.tokens_to_map(x, grid, name="map")], transformer.token(x, name="class_token_out")


def head(x, classes, activation):
    """Dense on the class token; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation, kernel_initializer=NORMAL(), dtype=dtype, name="head")(x)


_TOKENS, _BLOCK = r"tokens_to_token\.attention(\d)\.", r"blocks\.(\d+)\."
_NAMES = (  # of the authors' state dicts
    (_TOKENS + r"(norm\d|kqv|proj)", "tokens{1}_{2}"),
    (_TOKENS + r"w", "tokens{1}_attention"),
    (_TOKENS + r"attn\.(qkv|proj)", "tokens{1}_{2}"),
    (_TOKENS + r"mlp\.(?:0|fc1)", "tokens{1}_mlp1"),
    (_TOKENS + r"mlp\.(?:2|fc2)", "tokens{1}_mlp2"),
    (r"tokens_to_token\.project", "project"),
    (r"cls_token", "class_token"),
    (r"pos_embed", "position_embedding"),
    (_BLOCK + r"(norm\d)", "block{1+1}_{2}"),
    (_BLOCK + r"attn\.(qkv|proj)", "block{1+1}_{2}"),
    (_BLOCK + r"mlp\.fc(\d)", "block{1+1}_mlp{2}"),
    (r"norm", "final_norm"),
    (r"head", "head"),
)
_PREPROCESSING = dataclasses.replace(IMAGENET, interpolation="bicubic", crop_fraction=0.9)
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Yuan, Chen, Wang, Yu, Shi, Jiang, Tay, Feng, Yan: Tokens-to-Token ViT: Training Vision Transformers from "
    "Scratch on ImageNet, 2021, arXiv:2101.11986",
    preprocessing=_PREPROCESSING,
    recipe="vit",
    known_size=True,
    size_multiple=16,
    names={"authors": _NAMES},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

T2TViT7 = _family("T2TViT7", "t2t_vit_7", reported="top-1 28.3 %")
T2TViT10 = _family("T2TViT10", "t2t_vit_10", reported="top-1 24.8 %")
T2TViT12 = _family("T2TViT12", "t2t_vit_12", reported="top-1 23.5 %")
T2TViT14 = _family("T2TViT14", "t2t_vit_14", reported="top-1 18.5 %")
T2TViT19 = _family("T2TViT19", "t2t_vit_19", reported="top-1 18.1 %")
T2TViT24 = _family("T2TViT24", "t2t_vit_24", reported="top-1 17.7 %")
T2TViTT14 = _family("T2TViTT14", "t2t_vit_t_14", reported="top-1 18.3 %")
T2TViTT19 = _family("T2TViTT19", "t2t_vit_t_19", reported="top-1 17.6 %")
T2TViTT24 = _family("T2TViTT24", "t2t_vit_t_24", reported="top-1 17.4 %")
