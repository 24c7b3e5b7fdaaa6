"""Swin: a transformer over four stages, whose attention stays inside windows that every other block shifts.

Ze Liu, Yutong Lin, Yue Cao, Han Hu, Yixuan Wei, Zheng Zhang, Stephen Lin, Baining Guo: Swin Transformer: Hierarchical
Vision Transformer using Shifted Windows, 2021, arXiv:2103.14030, as released (microsoft/Swin-Transformer).

The paper trains with `drop_path_rate` 0.2 (T), 0.3 (S), 0.5 (B) and fine-tunes L with 0.2. B and L at 384 have windows
of 12; a file of weights for another window is resized.

Departures: the paper defines maps that are whole windows. Others get zeros at the bottom and right, which take part in
the attention, as in the authors' code for detection and in torchvision; where one window covers an axis, that axis is
not shifted, as in torchvision. Rows and columns beyond a multiple of 4 are not seen (there they are, padded, in the
code for detection).
"""

import dataclasses
import functools

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import transformer
from kerascnn.layers import CropLike, PadToMultiple, PatchMerging, WindowAttention
from kerascnn.layers.plain_conv2d import PlainConv2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """Section 3.3 of the paper."""

    depths: tuple[int, ...]  # blocks per stage
    width: int  # channels of the first stage; each later one has twice as many
    window: int = 7  # side of a window, in places
    head_width: int = 32  # channels of a head
    expansion: int = 4  # hidden units of an MLP / channels
    patch: int = 4  # side of a patch, pixels


VARIANTS = {
    "swin_tiny_patch4_window7_224": Spec((2, 2, 6, 2), 96),
    "swin_small_patch4_window7_224": Spec((2, 2, 18, 2), 96),
    "swin_base_patch4_window7_224": Spec((2, 2, 18, 2), 128),
    "swin_large_patch4_window7_224": Spec((2, 2, 18, 2), 192),
    "swin_base_patch4_window12_384": Spec((2, 2, 18, 2), 128, window=12),
    "swin_large_patch4_window12_384": Spec((2, 2, 18, 2), 192, window=12),
}

NORMAL = functools.partial(keras.initializers.TruncatedNormal, stddev=0.02)  # of all dense layers in the authors' code


def norm(x, *, name):
    """Layer norm over the channels."""
    return transformer.layer_norm(x, 1e-5, name=name)


def dense(x, units, *, use_bias=True, name):
    """Dense layer on the channels."""
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=NORMAL(), name=name)(x)


def attention(x, shift, spec, *, name):
    """Zeros up to whole windows, dense to queries, keys and values, attention in windows, zeros' places off, dense."""
    channels, y = x.shape[-1], x
    whole = all(size is not None and size % spec.window == 0 for size in x.shape[1:3])
    if not whole:
        y = PadToMultiple(spec.window, name=f"{name}_pad")(y)
    y = dense(y, 3 * channels, name=f"{name}_qkv")
    y = WindowAttention(channels // spec.head_width, spec.window, shift, name=f"{name}_attention")(y)
    if not whole:
        y = CropLike(name=f"{name}_crop")([y, x])
    return dense(y, channels, name=f"{name}_proj")


def block(x, shift, rate, spec, *, name):
    """x plus LN, attention; that plus LN, MLP."""
    y = attention(norm(x, name=f"{name}_norm1"), shift, spec, name=name)
    x = transformer.residual(x, y, rate, name=f"{name}_attention")
    y = norm(x, name=f"{name}_norm2")
    y = transformer.mlp(y, spec.expansion * y.shape[-1], initializer=NORMAL, name=f"{name}_mlp")
    return transformer.residual(x, y, rate, name=f"{name}_mlp")


def patch_merging(x, *, name):
    """2x2 places as channels, LN, dense without bias from four times the channels to twice."""
    channels = x.shape[-1]
    x = norm(PatchMerging(name=f"{name}_merge")(x), name=f"{name}_merge_norm")
    return dense(x, 2 * channels, use_bias=False, name=f"{name}_merge_dense")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c], the last normed."""
    x = PlainConv2D(spec.width, spec.patch, spec.patch, name="stem_conv")(x)
    x = norm(x, name="stem_norm")
    rates = blocks.linear_rates(drop_path_rate, spec.depths)
    stages = []
    for s, depth in enumerate(spec.depths):
        if s:
            x = patch_merging(x, name=f"stage{s + 1}")
        for b in range(depth):
            shift = spec.window // 2 if b % 2 else 0
            x = block(x, shift, rates[s][b], spec, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], norm(x, name="final_norm")]


def head(x, classes, activation):
    """Global average pool, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    return keras.layers.Dense(classes, activation, kernel_initializer=NORMAL(), dtype=dtype, name="head")(x)


def _blocks(stage, number, denses):
    """Rules for the blocks of stages that match `stage`, ours being `number`; `denses` match those of an MLP."""
    parts = (
        (r"norm(\d)", "norm{3}"),
        (r"attn\.(qkv|proj)", "{3}"),
        (r"attn", "attention"),
        *((dense, f"mlp{i}") for i, dense in enumerate(denses, 1)),
    )
    return tuple((rf"{stage}\.(\d+)\.{part}", f"stage{number}_block{{2+1}}_{ours}") for part, ours in parts)


def _merging(place, number):
    """Rules for the norm and the dense layer of patch merging."""
    return ((rf"{place}\.norm", f"stage{number}_merge_norm"), (rf"{place}\.reduction", f"stage{number}_merge_dense"))


_NUMBERED = (
    (r"patch_embed\.proj", "stem_conv"),
    (r"patch_embed\.norm", "stem_norm"),
    *_blocks(r"layers\.(\d)\.blocks", "{1+1}", (r"mlp\.fc1", r"mlp\.fc2")),
    (r"norm", "final_norm"),
    (r"head\.fc|head", "head"),
)
_TORCHVISION = (
    (r"features\.0\.0", "stem_conv"),
    (r"features\.0\.2", "stem_norm"),
    *(rule for s in (1, 2, 3, 4) for rule in _blocks(rf"features\.({2 * s - 1})", s, (r"mlp\.0", r"mlp\.3"))),
    *(rule for s in (2, 3, 4) for rule in _merging(rf"features\.{2 * s - 2}", s)),
    (r"norm", "final_norm"),
    (r"head", "head"),
)
_PREPROCESSING = dataclasses.replace(IMAGENET, crop_fraction=0.9, interpolation="bicubic")  # of timm's weights
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: Swin Transformer: Hierarchical Vision Transformer using Shifted "
    "Windows, 2021, arXiv:2103.14030",
    preprocessing=_PREPROCESSING,
    recipe="swin",
    names={
        "torchvision": _TORCHVISION,
        # timm counts a merging with the stage after it, the authors with the stage before.
        "timm": _NUMBERED + _merging(r"layers\.(\d)\.downsample", "{1+1}"),
        "authors": _NUMBERED + _merging(r"layers\.(\d)\.downsample", "{1+2}"),
    },
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

_LARGE = {
    "input_shape": (384, 384, 3),
    "preprocessing": dataclasses.replace(_PREPROCESSING, crop_fraction=1.0),
}
SwinTiny = _family("SwinTiny", "swin_tiny_patch4_window7_224", reported="top-1 18.8, top-5 4.5 %")
SwinSmall = _family("SwinSmall", "swin_small_patch4_window7_224", reported="top-1 16.8, top-5 3.8 %")
SwinBase = _family("SwinBase", "swin_base_patch4_window7_224", reported="top-1 16.5, top-5 3.5 %")
SwinLarge = _family(
    "SwinLarge", "swin_large_patch4_window7_224", reported="top-1 13.7, top-5 2.1 % (pre-trained on ImageNet-22k)"
)
SwinBase384 = _family("SwinBase384", "swin_base_patch4_window12_384", reported="top-1 15.5, top-5 3.0 %", **_LARGE)
SwinLarge384 = _family(
    "SwinLarge384",
    "swin_large_patch4_window12_384",
    reported="top-1 12.7, top-5 1.8 % (pre-trained on ImageNet-22k)",
    **_LARGE,
)
