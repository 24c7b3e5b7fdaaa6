"""ViT, the vision transformer: an image as a sequence of patches.

Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, Dirk Weissenborn, Xiaohua Zhai, Thomas Unterthiner, Mostafa
Dehghani, Matthias Minderer, Georg Heigold, Sylvain Gelly, Jakob Uszkoreit, Neil Houlsby: An Image is Worth 16x16 Words:
Transformers for Image Recognition at Scale, 2020, arXiv:2010.11929. Ti and S: Steiner, Kolesnikov, Zhai, Wightman,
Uszkoreit, Beyer: How to train your ViT?, 2021, arXiv:2106.10270, table 2.

The head, one dense layer on the class token, starts at zero as in fine-tuning; the tanh layer before it in pre-training
on ImageNet-21k is absent, as in the authors' later checkpoints. Another `input_shape` is another number of tokens:
`weights=` resizes the position embedding.

`vit_thin_patch4_32` is ours, for images of 32x32 pixels: half the depth and a third of the width of Ti, patches of 4x4
and, as in the ViT-Lite of Hassani, Walton, Shah, Abuduweili, Li, Shi: Escaping the Big Data Paradigm with Compact
Transformers, 2021, arXiv:2104.05704, MLPs that are twice as wide as the tokens.

Departures: GELU is exact, as in timm and torchvision, whose weights `weights=` reads; the authors' JAX code computes it
by a tanh, within 5e-4, which `spec=dataclasses.replace(model_info(name).spec, tanh_gelu=True)` gives. No dropout by
default.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import CIFAR, INCEPTION
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.blocks import linear_rates, transformer


@dataclasses.dataclass(frozen=True)
class Spec:
    """Table 1, and the size of a patch."""

    patch: int  # height and width of a patch
    width: int  # channels of a token
    depth: int  # encoder blocks
    heads: int
    mlp_ratio: float = 4.0  # hidden width of the MLP / width
    tanh_gelu: bool = False  # GELU by a tanh, as in the authors' JAX code


VARIANTS = {  # table 1; Ti and S: Steiner et al., table 2
    "vit_tiny_patch16_224": Spec(16, 192, 12, 3),
    "vit_small_patch16_224": Spec(16, 384, 12, 6),
    "vit_small_patch32_224": Spec(32, 384, 12, 6),
    "vit_base_patch16_224": Spec(16, 768, 12, 12),
    "vit_base_patch32_224": Spec(32, 768, 12, 12),
    "vit_large_patch16_224": Spec(16, 1024, 24, 16),
    "vit_large_patch32_224": Spec(32, 1024, 24, 16),
    "vit_huge_patch14_224": Spec(14, 1280, 32, 16),
    "vit_thin_patch4_32": Spec(4, 64, 6, 4, mlp_ratio=2.0),
}


def features(x, spec: Spec, *, dropout_rate: float = 0.0, drop_path_rate: float = 0.0):
    """Four maps of tokens [b, h/patch, w/patch, width], after quarters of the depth, and the class token [b, width].

    The first three are sums without norm; the last, as the class token, has passed the final norm.
    """
    encoder = transformer.Encoder(
        spec.heads,
        spec.mlp_ratio,
        activation=layers.tanh_gelu if spec.tanh_gelu else layers.gelu,
        dropout_rate=dropout_rate,
    )
    x = transformer.patch_embedding(x, spec.patch, spec.width)
    grid = x.shape[1:3]
    x = layers.ClassToken(name="class_token")(transformer.tokens(x, name="tokens"))
    x = layers.PositionEmbedding(grid, prefix=1, name="position_embedding")(x)
    x = transformer.dropout(x, dropout_rate, name="position_dropout")
    ends = [spec.depth * quarter // 4 for quarter in (1, 2, 3, 4)]
    stages = []
    for b, rate in enumerate(linear_rates(drop_path_rate, [spec.depth])[0], 1):
        x = transformer.encoder_block(x, encoder, rate, name=f"block{b}")
        if b == spec.depth:
            x = transformer.layer_norm(x, name="final_norm")
        stages += [transformer.tokens_to_map(x, grid, name=f"map{len(stages) + 1}")] * ends.count(b)
    return stages, transformer.token(x, name="class_token_out")


def head(x, classes, activation):
    """Dense with weights and biases that start at zero: [b, width] -> [b, classes]; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation, kernel_initializer="zeros", dtype=dtype, name="head")(x)


_TIMM = (
    (r"patch_embed\.proj", "patch_embedding"),
    (r"cls_token", "class_token"),
    (r"pos_embed", "position_embedding"),
    (r"blocks\.(\d+)\.norm(\d)", "block{1+1}_norm{2}"),
    (r"blocks\.(\d+)\.attn\.(qkv|proj)", "block{1+1}_{2}"),
    (r"blocks\.(\d+)\.mlp\.fc(\d)", "block{1+1}_mlp{2}"),
    (r"norm", "final_norm"),
    (r"head", "head"),
)
_LAYER = r"encoder\.layers\.encoder_layer_(\d+)\."
_TORCHVISION = (
    (r"conv_proj", "patch_embedding"),
    (r"class_token", "class_token"),
    (r"encoder\.pos_embedding", "position_embedding"),
    (rf"{_LAYER}ln_(\d)", "block{1+1}_norm{2}"),
    (rf"{_LAYER}self_attention", "block{1+1}_qkv"),
    (rf"{_LAYER}self_attention\.out_proj", "block{1+1}_proj"),
    (rf"{_LAYER}mlp\.0", "block{1+1}_mlp1"),
    (rf"{_LAYER}mlp\.3", "block{1+1}_mlp2"),
    (r"encoder\.ln", "final_norm"),
    (r"heads\.head", "head"),
)
_PREPROCESSING = dataclasses.replace(INCEPTION, crop_fraction=0.9, interpolation="bicubic")  # of timm's weights
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Dosovitskiy, Beyer, Kolesnikov, Weissenborn, Zhai, Unterthiner, Dehghani, Minderer, Heigold, Gelly, "
    "Uszkoreit, Houlsby: An Image is Worth 16x16 Words, 2020, arXiv:2010.11929",
    preprocessing=_PREPROCESSING,
    recipe="vit",
    known_size=True,
    size_multiple=lambda spec: spec.patch,
    names={"timm": _TIMM, "torchvision": _TORCHVISION},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)


ViTTiny16 = _family("ViTTiny16", "vit_tiny_patch16_224")
ViTSmall16 = _family("ViTSmall16", "vit_small_patch16_224")
ViTSmall32 = _family("ViTSmall32", "vit_small_patch32_224")
ViTBase16 = _family(
    "ViTBase16", "vit_base_patch16_224", reported="top-1 22.1 % (from scratch), 16.0 % (ImageNet-21k), at 384"
)
ViTBase32 = _family("ViTBase32", "vit_base_patch32_224", reported="top-1 18.7 % (ImageNet-21k), at 384")
ViTLarge16 = _family(
    "ViTLarge16", "vit_large_patch16_224", reported="top-1 14.7 % (ImageNet-21k), 12.2 % (JFT), at 384, 512"
)
ViTLarge32 = _family("ViTLarge32", "vit_large_patch32_224", reported="top-1 19.0 % (ImageNet-21k), at 384")
ViTHuge14 = _family(
    "ViTHuge14", "vit_huge_patch14_224", reported="top-1 14.9 % (ImageNet-21k), 11.4 % (JFT), at 392 and 518"
)
ViTThin4 = _family(
    "ViTThin4", "vit_thin_patch4_32", reconstructed=True, input_shape=(32, 32, 3), classes=10, preprocessing=CIFAR
)
