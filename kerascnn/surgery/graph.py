"""The calls of a `keras.Model`'s graph, with shapes, in the order in which Keras runs them."""

import dataclasses
import inspect
import numbers
import re
from collections.abc import Sequence
from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.models.deep import deep_recursion


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor in the graph."""

    number: int  # the same for the same tensor, wherever it is used
    shape: tuple[int | None, ...]  # with a batch of one
    dtype: str


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of one layer, or of an operation of `keras.ops`."""

    name: str  # of the layer, after the names of the models around it: "encoder/conv1"
    operation: keras.Operation
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)  # of `call`, by name; tensors as `Value`s

    @property
    def x(self) -> tuple[int, ...]:
        """Shape of the first input."""
        return self.inputs[0].shape

    @property
    def y(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.outputs[0].shape


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model's calls, models inside it included."""

    calls: tuple[Call, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def walk(model: keras.Model, input_shape: Sequence | None = None) -> Graph:
    """Follows a model's graph on shapes alone: nothing is computed, and the model stays as it was.

    Args:
        model: a functional or built sequential `keras.Model`; models inside it are followed too.
        input_shape: shape of one example, without the batch, such as `(height, width, channels)`; or a list of shapes,
            one an input. Needed where the model leaves a size open.

    Returns:
        Its `Graph`, for a batch of one.

    Raises:
        InputError: the model has no graph, or `input_shape` does not fit its inputs.
    """
    if not has_graph(model):
        raise InputError(f"The model must be a functional or built sequential keras.Model. Received: {model!r}")
    shapes = [tuple(x.shape[1:]) for x in model.inputs]
    if input_shape is not None:
        shapes = _given(input_shape, shapes)
    walker = _Walker()
    inputs = [keras.Input(batch_shape=(1, *s), dtype=x.dtype) for s, x in zip(shapes, model.inputs, strict=True)]
    try:
        with deep_recursion():
            outputs = walker.follow(model, inputs, "")
    except InputError:
        raise
    except (ValueError, TypeError) as error:  # a layer's own check of its input
        if input_shape is None:
            raise
        reason = " ".join(re.sub(r"\x1b\[\d+m", "", str(error)).split())[:200]
        raise InputError(f"{model.name} must take images of input_shape ({reason}). Received: {input_shape}") from error
    return Graph(tuple(walker.calls), walker.values(inputs), walker.values(outputs))


def _given(input_shape, shapes: list[tuple]) -> list[tuple]:
    """One shape for each input of the model, of its rank."""
    several = isinstance(input_shape, list) and all(isinstance(shape, list | tuple) for shape in input_shape)
    given = list(input_shape) if several else [input_shape]
    sound = all(isinstance(shape, list | tuple) and all(map(_is_size, shape)) for shape in given)
    if not sound or [len(shape) for shape in given] != [len(shape) for shape in shapes]:
        wanted = ", ".join(str(tuple("any" if size is None else size for size in shape)) for shape in shapes)
        raise InputError(
            f"input_shape must be one shape of whole numbers, or a list with one for each input of the model, like "
            f"{wanted}. Received: {str(input_shape)[:80]}"
        )
    return [tuple(None if size is None else int(size) for size in shape) for shape in given]


def _is_size(size) -> bool:
    whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
    return size is None or (whole and 0 < size < 2**31)


def has_graph(operation) -> bool:
    """Whether this is a model whose graph says all that a call of it does, at inference."""
    if not isinstance(operation, keras.Model) or not getattr(operation, "inputs", None):
        return False
    own = (kind for kind in type(operation).__mro__ if not kind.__module__.startswith("keras."))
    return isinstance(operation, AuxiliaryModel) or not any("call" in vars(kind) for kind in own)


def _tensors(structure):
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]


class _Walker:
    def __init__(self):
        self.calls: list[Call] = []
        self._values: dict[int, Value] = {}  # by the id of the symbolic tensor
        self._kept = []  # the tensors, so that no id comes twice

    def values(self, tensors) -> tuple[Value, ...]:
        return tuple(map(self.value, tensors))

    def value(self, tensor) -> Value:
        if id(tensor) not in self._values:
            self._kept.append(tensor)
            shape = tuple(tensor.shape)
            self._values[id(tensor)] = Value(len(self._values), shape, keras.backend.standardize_dtype(tensor.dtype))
        return self._values[id(tensor)]

    def follow(self, model, inputs, prefix):
        """Runs the graph on symbolic tensors; each operation is replaced by a probe."""
        # A clone of a compiled model would be compiled too, one of an auxiliary model would have the heads.
        if isinstance(model, keras.Sequential | AuxiliaryModel) or model.compiled:
            model = keras.Model(model.inputs, model.outputs)
        structure = keras.tree.pack_sequence_as(model.input, inputs)
        clone = keras.models.clone_model(
            model, input_tensors=structure, clone_function=lambda operation: _Probe(operation, self, prefix)
        )
        return clone.outputs

    def call(self, operation, prefix, args, kwargs):
        tensors = _tensors((args, kwargs))
        inputs = self.values(tensors)
        name = prefix + operation.name
        if has_graph(operation):
            inner = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in tensors[: len(operation.inputs)]]
            self._kept += inner
            self._values |= {id(new): old for new, old in zip(inner, inputs, strict=False)}
            made = self.follow(operation, inner, f"{name}/")
            outputs = [keras.KerasTensor(x.shape, x.dtype) for x in made]
            self._kept += outputs
            self._values |= {id(new): self.value(old) for new, old in zip(outputs, made, strict=True)}
            return keras.tree.pack_sequence_as(operation.output, outputs)
        outputs = operation.compute_output_spec(*args, **kwargs)
        flat = _tensors(outputs)
        if any(None in x.shape for x in flat) and not any(None in x.shape for x in tensors):
            # A layer may know less than its code does: EinsumDense leaves open what its output_shape leaves open.
            outputs = keras.Operation.compute_output_spec(operation, *args, **kwargs)
            flat = _tensors(outputs)
        self.calls.append(Call(name, operation, inputs, self.values(flat), self._arguments(operation, args, kwargs)))
        return outputs

    def _arguments(self, operation, args, kwargs):
        try:
            bound = inspect.signature(operation.call).bind(*args, **kwargs).arguments
        except TypeError:  # Keras takes arguments that `call` does not name
            return {}
        return {
            name: keras.tree.map_structure(lambda x: self.value(x) if isinstance(x, keras.KerasTensor) else x, value)
            for name, value in bound.items()
        }


class _Probe(keras.Operation):
    """Stands in for an operation: infers its output and reports the call."""

    def __init__(self, operation, walker, prefix):
        super().__init__()
        self.operation, self.walker, self.prefix = operation, walker, prefix

    def compute_output_spec(self, *args, **kwargs):
        return self.walker.call(self.operation, self.prefix, args, kwargs)
