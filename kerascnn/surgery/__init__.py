"""Reading the graph of any `keras.Model`, and rewriting it: other ends, folding, sliding over larger images."""

from kerascnn.surgery.cut import final_activation, logits_of, probabilities_of, up_to
from kerascnn.surgery.fields import ReceptiveField, fields_at, receptive_field
from kerascnn.surgery.folding import fold_batch_norm
from kerascnn.surgery.freeze import freeze
from kerascnn.surgery.graph import Call, Graph, walk
from kerascnn.surgery.heads import replace_head
from kerascnn.surgery.inline import inlined
from kerascnn.surgery.linear import linear_head
from kerascnn.surgery.parts import Part, parts
from kerascnn.surgery.replace import rebuild
from kerascnn.surgery.sliding import fully_convolutional

__all__ = [
    "Call",
    "Graph",
    "Part",
    "ReceptiveField",
    "fields_at",
    "final_activation",
    "fold_batch_norm",
    "freeze",
    "fully_convolutional",
    "inlined",
    "linear_head",
    "logits_of",
    "parts",
    "probabilities_of",
    "rebuild",
    "receptive_field",
    "replace_head",
    "up_to",
    "walk",
]
