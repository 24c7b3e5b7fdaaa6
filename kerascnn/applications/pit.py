"""PiT: a vision transformer whose maps of tokens shrink from stage to stage, as those of convolutional networks do.

Byeongho Heo, Sangdoo Yun, Dongyoon Han, Sanghyuk Chun, Junsuk Choe, Seong Joon Oh: Rethinking Spatial Dimensions of
Vision Transformers, 2021, arXiv:2103.16302, as released (naver-ai/pit).

Patches overlap by half. Between stages the map goes through a depthwise convolution and the class token through a dense
layer. The `distilled` networks have a second token with a head of its own, as DeiT has (arXiv:2012.12877); the output
is the mean of both heads' logits, through the activation. Another `input_shape` is another number of tokens: `weights=`
resizes the position embedding, which the map has and the class token has not.

Departures: the final norm, which the release applies to the class token, is in the last stage output too. Biases start
at zero; there they are as small as the kernels. Images that patches do not cover to the last pixel are refused.
"""

import dataclasses
import functools

import keras

from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family, dense_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import linear_rates, transformer
from kerascnn.layers import ClassToken, DepthwiseConv2D, PositionEmbedding
from kerascnn.layers.plain_conv2d import PlainConv2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """Table 1 of the paper."""

    depths: tuple[int, ...]  # blocks per stage
    heads: tuple[int, ...]  # per stage
    head_width: int  # channels of a head
    patch: int = 16  # side of a patch, twice the distance between patches
    mlp_ratio: float = 4.0  # hidden width of an MLP / width
    distilled: bool = False  # with a second token and head


VARIANTS = {
    "pit_ti_224": Spec((2, 6, 4), (2, 4, 8), 32),
    "pit_xs_224": Spec((2, 6, 4), (2, 4, 8), 48),
    "pit_s_224": Spec((2, 6, 4), (3, 6, 12), 48),
    "pit_b_224": Spec((3, 6, 4), (4, 8, 16), 64, patch=14),
    "pit_ti_distilled_224": Spec((2, 6, 4), (2, 4, 8), 32, distilled=True),
    "pit_xs_distilled_224": Spec((2, 6, 4), (2, 4, 8), 48, distilled=True),
    "pit_s_distilled_224": Spec((2, 6, 4), (3, 6, 12), 48, distilled=True),
    "pit_b_distilled_224": Spec((3, 6, 4), (4, 8, 16), 64, patch=14, distilled=True),
}

# PyTorch's default.
UNIFORM = functools.partial(keras.initializers.VarianceScaling, 1 / 3, mode="fan_in", distribution="uniform")
NORMAL = functools.partial(keras.initializers.TruncatedNormal, stddev=0.02)  # of the tokens


def pooling(x, *, name):
    """Depthwise 3x3/2 with two filters a channel: [b, h, w, c] -> [b, h/2, w/2, 2c]."""
    options = {"depth_multiplier": 2, "depthwise_initializer": UNIFORM(), "name": name}
    return DepthwiseConv2D(3, 2, 1, **options)(x)


def widened(tokens, *, name):
    """Dense: [b, n, c] -> [b, n, 2c]."""
    return keras.layers.Dense(2 * tokens.shape[-1], kernel_initializer=UNIFORM(), name=name)(tokens)


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Maps [b, h/8, w/8, c], [b, h/16, w/16, 2c], [b, h/32, w/32, 4c], by patches of 14: h/7 to h/28; and the token.

    The first two are sums without norm. Distilled networks have a list of two tokens [b, 4c].
    """
    width, stride = spec.heads[0] * spec.head_width, spec.patch // 2
    x = PlainConv2D(width, spec.patch, stride, kernel_initializer=UNIFORM(), name="patch_embedding")(x)
    x = PositionEmbedding(x.shape[1:3], name="position_embedding")(x)
    rates, count, stages, first = linear_rates(drop_path_rate, spec.depths), 1 + spec.distilled, [], None
    for s, (depth, heads) in enumerate(zip(spec.depths, spec.heads, strict=True)):
        name = f"stage{s + 1}"
        x = pooling(x, name=f"{name}_pool") if s else x
        grid, x = x.shape[1:3], transformer.tokens(x, name=f"{name}_tokens")
        if s:
            first = widened(first, name=f"{name}_token_dense")
            x = keras.layers.Concatenate(axis=1, name=f"{name}_concat")([first, x])
        else:
            x = ClassToken(count, NORMAL(), name="class_token")(x)
        encoder = transformer.Encoder(heads, spec.mlp_ratio, initializer=UNIFORM)
        for b in range(depth):
            x = transformer.encoder_block(x, encoder, rates[s][b], name=f"{name}_block{b + 1}")
        if s == len(spec.depths) - 1:
            x = transformer.layer_norm(x, name="final_norm")
        first = keras.layers.Cropping1D((0, x.shape[1] - count), name=f"{name}_token")(x)
        x = transformer.tokens_to_map(x, grid, name=f"{name}_map")
        stages.append(x)
    seen = [transformer.token(first, i, name=f"token{i + 1}") for i in range(count)]
    return stages, seen if spec.distilled else seen[0]


def head(x, classes, activation):
    """Dense on the class token; two and the mean of their logits for two tokens. Float32 under mixed precision."""
    if not isinstance(x, list):
        return dense_head(x, classes, activation)
    dtype = keras.config.dtype_policy().variable_dtype
    logits = [
        keras.layers.Dense(classes, kernel_initializer=UNIFORM(), dtype=dtype, name=name)(token)
        for token, name in zip(x, ("head", "head_distilled"), strict=True)
    ]
    x = keras.layers.Average(dtype=dtype, name="head_mean")(logits)
    return keras.layers.Activation(activation, dtype=dtype, name="head_activation")(x)


_BLOCK = r"transformers\.(\d)\.blocks\.(\d+)\."
_NAMES = (  # of timm, and of the authors, who list the pooling layers by themselves
    (r"patch_embed\.conv", "patch_embedding"),
    (r"pos_embed", "position_embedding"),
    (r"cls_token", "class_token"),
    (_BLOCK + r"(norm\d)", "stage{1+1}_block{2+1}_{3}"),
    (_BLOCK + r"attn\.(qkv|proj)", "stage{1+1}_block{2+1}_{3}"),
    (_BLOCK + r"mlp\.fc(\d)", "stage{1+1}_block{2+1}_mlp{3}"),
    (r"transformers\.(\d)\.pool\.conv", "stage{1+1}_pool"),
    (r"transformers\.(\d)\.pool\.fc", "stage{1+1}_token_dense"),
    (r"pools\.(\d)\.conv", "stage{1+2}_pool"),
    (r"pools\.(\d)\.fc", "stage{1+2}_token_dense"),
    (r"norm", "final_norm"),
    (r"head", "head"),
    (r"head_dist", "head_distilled"),
)
_PREPROCESSING = dataclasses.replace(IMAGENET, crop_fraction=0.9, interpolation="bicubic")  # of the weights in timm
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Heo, Yun, Han, Chun, Choe, Oh: Rethinking Spatial Dimensions of Vision Transformers, 2021, arXiv:2103.16302",
    preprocessing=_PREPROCESSING,
    recipe="pit",
    known_size=True,
    size_multiple=lambda spec: spec.patch // 2,
    min_size=lambda spec: -(-32 // (spec.patch // 2)) * (spec.patch // 2),
    names={"timm": _NAMES},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

PiTTiny = _family("PiTTiny", "pit_ti_224", reported="top-1 27.0 %")
PiTXSmall = _family("PiTXSmall", "pit_xs_224", reported="top-1 21.9 %")
PiTSmall = _family("PiTSmall", "pit_s_224", reported="top-1 19.1 %")
PiTBase = _family("PiTBase", "pit_b_224", reported="top-1 18.0 %")
PiTTinyDistilled = _family("PiTTinyDistilled", "pit_ti_distilled_224", reported="top-1 25.4 % (distilled)")
PiTXSmallDistilled = _family("PiTXSmallDistilled", "pit_xs_distilled_224", reported="top-1 20.9 % (distilled)")
PiTSmallDistilled = _family("PiTSmallDistilled", "pit_s_distilled_224", reported="top-1 18.1 % (distilled)")
PiTBaseDistilled = _family("PiTBaseDistilled", "pit_b_distilled_224", reported="top-1 16.0 % (distilled)")
