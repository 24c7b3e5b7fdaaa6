"""Parameters and multiply-adds of any `keras.Model`, by a table {layer class: formula}.

One MAC is one multiply-add. Only convolutions, dense layers and products inside attention count; biases,
normalisation, pooling and activations do not, which is the convention of the published tables (torchvision, fvcore).
A layer that holds weights and has no formula is reported, never skipped in silence.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Sequence

import keras

from kerascnn import layers
from kerascnn._errors import InputError


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one forward pass of one example costs."""

    params_trainable: int  # weights, biases, scales and shifts that training moves
    params_other: int  # moving statistics and whatever else is stored or frozen
    macs: int  # multiply-adds for one example
    unknown: tuple[str, ...]  # layers that hold weights but have no formula, as "name (Class)"


def count(model: keras.Model, input_shape: Sequence[int] | None = None) -> Cost:
    """Counts parameters and multiply-adds without running the model.

    Args:
        model: a functional or built sequential `keras.Model`; models inside it, and layers called more than once, are
            followed.
        input_shape: `(height, width, channels)` of one example; needed where the model leaves a size open.

    Returns:
        A `Cost`.

    Raises:
        InputError: the model is not functional, or a size needed by a formula is open.
    """
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs, model.outputs)
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(f"The model must be a functional or built sequential keras.Model. Received: {model!r}")
    if input_shape is not None and len(model.inputs) != 1:
        raise InputError(f"input_shape needs a model with one input. Received: {len(model.inputs)} inputs")
    shapes = [x.shape[1:] if input_shape is None else tuple(input_shape) for x in model.inputs]
    tally = _Tally()
    # Keras connects a graph with one Python frame per layer in depth, and ResNet-1202 is 4,211 layers deep.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4 * len(model.layers))
    try:
        tally.follow(model, shapes)
    finally:
        sys.setrecursionlimit(limit)
    params, trainable = (sum(math.prod(w.shape) for w in ws) for ws in (model.weights, model.trainable_weights))
    return Cost(trainable, params - trainable, tally.macs, tuple(dict.fromkeys(tally.unknown)))


class _Tally:
    """Sums formulas over the calls in a model's graph."""

    def __init__(self):
        self.macs = 0
        self.unknown = []

    def follow(self, model, shapes):
        """Runs the graph on shapes alone; each operation is replaced by a probe, so the model stays as it was."""
        inputs = [keras.Input(shape, dtype=x.dtype) for shape, x in zip(shapes, model.inputs, strict=True)]
        structure = keras.tree.pack_sequence_as(model.input, inputs)
        keras.models.clone_model(model, input_tensors=structure, clone_function=lambda op: _Probe(op, self.add))

    def add(self, layer, inputs, outputs):
        """Adds one call of one layer, given shapes without the batch."""
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            return self.follow(layer, inputs)
        if not isinstance(layer, keras.layers.Layer):
            return None
        formula = next((FORMULAS[kind] for kind in type(layer).__mro__ if kind in FORMULAS), None)
        if formula is None:
            if layer.weights:
                self.unknown.append(f"{layer.name} ({type(layer).__name__})")
            return None
        if formula is not _free and None in inputs[0] + outputs[0]:
            raise InputError(f"The cost of {layer.name} needs fixed sizes; pass input_shape. Received: {outputs[0]}")
        self.macs += formula(layer, inputs[0], outputs[0])
        return None


class _Probe(keras.Operation):
    """Stands in for an operation: infers its output and reports the shapes."""

    def __init__(self, operation, report):
        super().__init__()
        self.operation, self.report = operation, report

    def compute_output_spec(self, *args, **kwargs):
        outputs = self.operation.compute_output_spec(*args, **kwargs)
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        self.report(self.operation, [x.shape[1:] for x in tensors], [x.shape[1:] for x in keras.tree.flatten(outputs)])
        return outputs


def _free(layer, x, y):
    return 0


def _per_position(layer, x, y):
    """Each output position meets the whole kernel once: convolutions (groups included) and dense layers."""
    return math.prod(y[:-1]) * math.prod(layer.kernel.shape)


def _transposed(layer, x, y):
    return math.prod(x[:-1]) * math.prod(layer.kernel.shape)


def _separable(layer, x, y):
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return math.prod(y[:-1]) * kernels


# layer class (or a base of it) -> f(layer, input shape, output shape), shapes [..., channels] of one example
FORMULAS: dict[type, Callable[[keras.layers.Layer, tuple, tuple], int]] = {
    keras.layers.Dense: _per_position,
    keras.layers.Conv1D: _per_position,
    keras.layers.Conv2D: _per_position,
    keras.layers.Conv3D: _per_position,
    keras.layers.DepthwiseConv1D: _per_position,
    keras.layers.DepthwiseConv2D: _per_position,
    keras.layers.SeparableConv1D: _separable,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Conv1DTranspose: _transposed,
    keras.layers.Conv2DTranspose: _transposed,
    keras.layers.Conv3DTranspose: _transposed,
    keras.layers.BatchNormalization: _free,
    keras.layers.GroupNormalization: _free,
    keras.layers.LayerNormalization: _free,
    keras.layers.Normalization: _free,
    keras.layers.PReLU: _free,
    layers.ConnectionTableConv2D: _per_position,
    layers.Subsampling2D: _free,
}
