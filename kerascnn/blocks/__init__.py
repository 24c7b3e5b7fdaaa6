"""Tensor -> tensor functions used by three families or more."""

from kerascnn.blocks.average_pool import average_pool
from kerascnn.blocks.cbam import channel_gate, spatial_gate
from kerascnn.blocks.conv_bn import bn_relu, conv, conv_bn
from kerascnn.blocks.conv_head import conv_head
from kerascnn.blocks.drop_path import drop_path
from kerascnn.blocks.inception import ConvStep, conv_step, conv_steps, inception_module, step_names
from kerascnn.blocks.max_pool import max_pool
from kerascnn.blocks.scaling import Scalable, repeated, rounded
from kerascnn.blocks.schedules import Place, dilated_stages, linear_rates, places
from kerascnn.blocks.segmentation_head import fcn_head, pixel_scores
from kerascnn.blocks.squeeze_excite import squeeze_excite

__all__ = [
    "ConvStep",
    "Place",
    "Scalable",
    "average_pool",
    "bn_relu",
    "channel_gate",
    "conv",
    "conv_bn",
    "conv_head",
    "conv_step",
    "conv_steps",
    "dilated_stages",
    "drop_path",
    "fcn_head",
    "inception_module",
    "linear_rates",
    "max_pool",
    "pixel_scores",
    "places",
    "repeated",
    "rounded",
    "spatial_gate",
    "squeeze_excite",
    "step_names",
]
