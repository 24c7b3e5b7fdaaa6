"""What a network costs and sees, read from any `keras.Model`."""

from kerascnn.analysis.cost import Cost, LayerCost, count, table
from kerascnn.analysis.diagram import plot_stages
from kerascnn.analysis.formulas import FORMULAS
from kerascnn.analysis.sampling import plot_sampling, sampling_locations
from kerascnn.analysis.staging import Stage, stages
from kerascnn.surgery.fields import ReceptiveField, receptive_field

__all__ = [
    "FORMULAS",
    "Cost",
    "LayerCost",
    "ReceptiveField",
    "Stage",
    "count",
    "plot_sampling",
    "plot_stages",
    "receptive_field",
    "sampling_locations",
    "stages",
    "table",
]
