"""Functions on TensorFlow tensors that run natively (C++) where that is faster, and as plain TensorFlow elsewhere."""

from kerascnn.ops._native import build_info, native
from kerascnn.ops.convolution import conv2d
from kerascnn.ops.deform_conv2d import deform_conv2d
from kerascnn.ops.gelu import gelu
from kerascnn.ops.inference_program import inference_program
from kerascnn.ops.layer_norm import layer_normalization
from kerascnn.ops.lrn import local_response_normalization
from kerascnn.ops.resize2d import resize2d
from kerascnn.ops.saf_pool2d import saf_pool2d
from kerascnn.ops.self_attention import self_attention

__all__ = [
    "build_info",
    "conv2d",
    "deform_conv2d",
    "gelu",
    "inference_program",
    "layer_normalization",
    "local_response_normalization",
    "native",
    "resize2d",
    "saf_pool2d",
    "self_attention",
]
