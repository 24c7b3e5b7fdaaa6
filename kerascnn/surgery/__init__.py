"""Reading the graph of any `keras.Model`, and rewriting it: folding, sliding over larger images."""

from kerascnn.surgery.fields import ReceptiveField, receptive_field
from kerascnn.surgery.folding import fold_batch_norm
from kerascnn.surgery.graph import Call, Graph, walk
from kerascnn.surgery.sliding import fully_convolutional

__all__ = ["Call", "Graph", "ReceptiveField", "fold_batch_norm", "fully_convolutional", "receptive_field", "walk"]
