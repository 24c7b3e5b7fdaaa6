"""Keras layers: each wraps one idea, most of them one op of `kerascnn.ops`."""

from kerascnn.layers.average_pooling2d import AveragePooling2D
from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.bilinear_upsampling2d import BilinearInitializer, BilinearUpsampling2D
from kerascnn.layers.channel_pool import ChannelPool
from kerascnn.layers.channel_slice import ChannelSlice
from kerascnn.layers.class_token import ClassToken
from kerascnn.layers.connection_table_conv2d import ConnectionTableConv2D
from kerascnn.layers.conv2d import Conv2D
from kerascnn.layers.crop_like import CropLike
from kerascnn.layers.deformable_conv2d import DeformableConv2D
from kerascnn.layers.depthwise_conv2d import DepthwiseConv2D
from kerascnn.layers.drop_path import DropPath
from kerascnn.layers.fractal_join import FractalJoin, FractalPath
from kerascnn.layers.gelu import gelu
from kerascnn.layers.layer_normalization import LayerNormalization
from kerascnn.layers.local_response_normalization import LocalResponseNormalization
from kerascnn.layers.max_pooling2d import MaxPooling2D
from kerascnn.layers.pad_to_multiple import PadToMultiple
from kerascnn.layers.patch_merging import PatchMerging
from kerascnn.layers.performer_attention import PerformerAttention
from kerascnn.layers.plain_conv2d import PlainConv2D
from kerascnn.layers.position_embedding import PositionEmbedding
from kerascnn.layers.preprocessing import ImageInput, StageOutput, model_preprocessing
from kerascnn.layers.rbf_codes import RBFCodes
from kerascnn.layers.resize_like import ResizeLike
from kerascnn.layers.saf_pooling2d import SAFPooling2D
from kerascnn.layers.same_padding2d import SamePadding2D
from kerascnn.layers.scaled_tanh import scaled_tanh
from kerascnn.layers.scheduled_drop_path import Progress, ScheduledDropPath
from kerascnn.layers.self_attention import SelfAttention
from kerascnn.layers.shake_shake import ShakeShake
from kerascnn.layers.sinusoid_embedding import SinusoidEmbedding
from kerascnn.layers.subsampling2d import Subsampling2D
from kerascnn.layers.tanh_gelu import tanh_gelu
from kerascnn.layers.unfold2d import Unfold2D
from kerascnn.layers.weight_standardized_conv2d import WeightStandardizedConv2D
from kerascnn.layers.window_attention import WindowAttention
from kerascnn.layers.zero_pad_shortcut import ZeroPadShortcut

__all__ = [
    "AveragePooling2D",
    "BatchNormalization",
    "BilinearInitializer",
    "BilinearUpsampling2D",
    "ChannelPool",
    "ChannelSlice",
    "ClassToken",
    "ConnectionTableConv2D",
    "Conv2D",
    "CropLike",
    "DeformableConv2D",
    "DepthwiseConv2D",
    "DropPath",
    "FractalJoin",
    "FractalPath",
    "ImageInput",
    "LayerNormalization",
    "LocalResponseNormalization",
    "MaxPooling2D",
    "PadToMultiple",
    "PatchMerging",
    "PerformerAttention",
    "PlainConv2D",
    "PositionEmbedding",
    "Progress",
    "RBFCodes",
    "ResizeLike",
    "SAFPooling2D",
    "SamePadding2D",
    "ScheduledDropPath",
    "SelfAttention",
    "ShakeShake",
    "SinusoidEmbedding",
    "StageOutput",
    "Subsampling2D",
    "Unfold2D",
    "WeightStandardizedConv2D",
    "WindowAttention",
    "ZeroPadShortcut",
    "gelu",
    "model_preprocessing",
    "scaled_tanh",
    "tanh_gelu",
]
