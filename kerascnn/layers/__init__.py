"""Keras layers: each wraps one idea, most of them one op of `kerascnn.ops`."""

from kerascnn.layers.batch_stochastic_depth import BatchStochasticDepth as BatchStochasticDepth
from kerascnn.layers.connection_table_conv2d import ConnectionTableConv2D as ConnectionTableConv2D
from kerascnn.layers.rbf_codes import RBFCodes as RBFCodes
from kerascnn.layers.subsampling2d import Subsampling2D as Subsampling2D

from kerascnn.layers.conv2d import Conv2D

__all__ = ["Conv2D"]
