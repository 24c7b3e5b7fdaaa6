"""What a network costs, read from any `keras.Model`."""

from kerascnn.analysis.cost import Cost as Cost
from kerascnn.analysis.cost import count as count
