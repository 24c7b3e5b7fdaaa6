"""MLP-Mixer: patches that dense layers mix, in turns across places and across channels.

Ilya Tolstikhin, Neil Houlsby, Alexander Kolesnikov, Lucas Beyer, Xiaohua Zhai, Thomas Unterthiner, Jessica Yung,
Andreas Steiner, Daniel Keysers, Jakob Uszkoreit, Mario Lucic, Alexey Dosovitskiy: MLP-Mixer: An all-MLP Architecture
for Vision, 2021, arXiv:2105.01601. The weights of the token-mixing MLPs belong to one number of patches, so that
another `input_shape` is another network, which reads no weights of the first. The head starts at zero.

Departures: GELU is exact, as in timm, whose weights `weights=` reads; the authors' JAX code computes it by a tanh,
within 5e-4, which `spec=dataclasses.replace(model_info(name).spec, tanh_gelu=True)` gives. Kernels start by Glorot's
rule as in timm; in the authors' code by LeCun's.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import linear_rates, transformer


@dataclasses.dataclass(frozen=True)
class Spec:
    """Table 1, and the size of a patch."""

    patch: int  # height and width of a patch
    width: int  # channels of a token, C
    depth: int  # mixer layers
    tokens_hidden: int  # hidden width of the MLP across places, D_S
    channels_hidden: int  # hidden width of the MLP across channels, D_C
    tanh_gelu: bool = False  # GELU by a tanh, as in the authors' JAX code


VARIANTS = {  # table 1
    "mixer_s32_224": Spec(32, 512, 8, 256, 2048),
    "mixer_s16_224": Spec(16, 512, 8, 256, 2048),
    "mixer_b32_224": Spec(32, 768, 12, 384, 3072),
    "mixer_b16_224": Spec(16, 768, 12, 384, 3072),
    "mixer_l32_224": Spec(32, 1024, 24, 512, 4096),
    "mixer_l16_224": Spec(16, 1024, 24, 512, 4096),
    "mixer_h14_224": Spec(14, 1280, 32, 640, 5120),
}


def mixer_block(x, spec, rate, *, name):
    """x + MLP across places (LN(x)), then x + MLP across channels (LN(x)): [b, n, width] -> [b, n, width]."""
    activation = layers.tanh_gelu if spec.tanh_gelu else layers.gelu
    y = transformer.layer_norm(x, name=f"{name}_norm1")
    y = keras.layers.Permute((2, 1), name=f"{name}_places")(y)
    y = transformer.mlp(y, spec.tokens_hidden, activation, name=f"{name}_tokens")
    y = keras.layers.Permute((2, 1), name=f"{name}_channels")(y)
    x = transformer.residual(x, y, rate, name=f"{name}_tokens")
    y = transformer.layer_norm(x, name=f"{name}_norm2")
    y = transformer.mlp(y, spec.channels_hidden, activation, name=f"{name}_channels")
    return transformer.residual(x, y, rate, name=f"{name}_channels")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Four maps of tokens [b, h/patch, w/patch, width], after quarters of the depth, the last after the final norm."""
    x = transformer.patch_embedding(x, spec.patch, spec.width)
    grid = x.shape[1:3]
    x = transformer.tokens(x, name="tokens")
    ends = [spec.depth * quarter // 4 for quarter in (1, 2, 3, 4)]
    stages = []
    for b, rate in enumerate(linear_rates(drop_path_rate, [spec.depth])[0], 1):
        x = mixer_block(x, spec, rate, name=f"block{b}")
        if b == spec.depth:
            x = transformer.layer_norm(x, name="final_norm")
        stages += [transformer.tokens_to_map(x, grid, name=f"map{len(stages) + 1}")] * ends.count(b)
    return stages


def head(x, classes, activation):
    """Global average pool, dense with weights and biases that start at zero; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    return keras.layers.Dense(classes, activation, kernel_initializer="zeros", dtype=dtype, name="head")(x)


_TIMM = (
    (r"stem\.proj", "patch_embedding"),
    (r"blocks\.(\d+)\.norm(\d)", "block{1+1}_norm{2}"),
    (r"blocks\.(\d+)\.mlp_(tokens|channels)\.fc(\d)", "block{1+1}_{2}{3}"),
    (r"norm", "final_norm"),
    (r"head", "head"),
)
_AUTHORS = (  # scopes of the authors' `.npz` files
    (r"stem", "patch_embedding"),
    (r"MixerBlock_(\d+)/LayerNorm_(\d)", "block{1+1}_norm{2+1}"),
    (r"MixerBlock_(\d+)/token_mixing/Dense_(\d)", "block{1+1}_tokens{2+1}"),
    (r"MixerBlock_(\d+)/channel_mixing/Dense_(\d)", "block{1+1}_channels{2+1}"),
    (r"pre_head_layer_norm", "final_norm"),
    (r"head", "head"),
)
_PREPROCESSING = dataclasses.replace(INCEPTION, interpolation="bicubic")  # of timm's copy of the authors' weights
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Tolstikhin, Houlsby, Kolesnikov, Beyer, Zhai, Unterthiner, Yung, Steiner, Keysers, Uszkoreit, Lucic, "
    "Dosovitskiy: MLP-Mixer: An all-MLP Architecture for Vision, 2021, arXiv:2105.01601",
    preprocessing=_PREPROCESSING,
    recipe="mixer",
    known_size=True,
    size_multiple=lambda spec: spec.patch,
    names={"timm": _TIMM, "tensorflow": _AUTHORS},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


MixerS32 = _family("MixerS32", "mixer_s32_224")
MixerS16 = _family("MixerS16", "mixer_s16_224")
MixerB32 = _family("MixerB32", "mixer_b32_224")
MixerB16 = _family("MixerB16", "mixer_b16_224", reported="top-1 23.6 % (from scratch), 19.4 % (ImageNet-21k)")
MixerL32 = _family("MixerL32", "mixer_l32_224")
MixerL16 = _family("MixerL16", "mixer_l16_224", reported="top-1 28.2 % (from scratch), 15.8 % (ImageNet-21k)")
MixerH14 = _family("MixerH14", "mixer_h14_224", reported="top-1 12.1 % (JFT)")
