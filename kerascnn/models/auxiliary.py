"""A model class for networks with auxiliary heads: classifiers on inner layers, in training alone."""

from collections.abc import Sequence
from typing import Any

import keras

from kerascnn import _check
from kerascnn._errors import InputError


class _Outputs(list):
    """Outputs of a graph on their way into the constructor of a clone, with the factors of their losses."""

    def __init__(self, outputs, auxiliary_weights):
        super().__init__(outputs)
        self.auxiliary_weights = auxiliary_weights


class _Main:
    """Holds the graph without the heads where Keras does not look for layers: it has none of its own."""

    def __init__(self, graph):
        self.graph = graph


class _Mean(keras.losses.Loss):
    """A loss that is given as a function, averaged as `compile` does."""

    def __init__(self, function):
        super().__init__(name="loss")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


@keras.saving.register_keras_serializable(package="kerascnn")
class AuxiliaryModel(keras.Model):
    """A functional `keras.Model` whose auxiliary outputs exist in training alone.

    `fit` minimizes loss(y, main) + sum of weight * loss(y, auxiliary), with the one loss that `compile` was given
    (Szegedy et al. 2014, arXiv:1409.4842, section 5; Lee et al. 2014, arXiv:1409.5185, equation 3). Metrics see the
    main output. Called with `training=False`, and so by `evaluate`, `predict` and an export, the model gives its main
    output alone; with `training=True` it gives the list of all. `model.outputs` is the main output; `layers`, `weights`
    and files include those of the auxiliary heads.

    Args:
        inputs: the input as a Keras tensor.
        outputs: Keras tensors [batch, ..., classes]: the main output, then at least one auxiliary output.
        name: of the model.
        auxiliary_weights: one factor, not negative, per auxiliary output.

    Raises:
        InputError: the number of weights is not that of the auxiliary outputs, or one is negative.
    """

    # The arguments by position are those of `keras.Model`, so that `keras.models.clone_model` keeps the class.
    def __init__(
        self,
        inputs: Any,
        outputs: Sequence,
        name: str | None = None,
        *,
        auxiliary_weights: Sequence[float] | None = None,
    ):
        weights = getattr(outputs, "auxiliary_weights", ()) if auxiliary_weights is None else auxiliary_weights
        weights = tuple(_check.real("auxiliary_weights", weight) for weight in weights)
        if len(outputs) < 2 or len(weights) != len(outputs) - 1 or min(weights) < 0:
            raise InputError(
                "outputs must be the main one and at least one auxiliary one, with a weight that is not negative for "
                f"each of those. Received: {len(outputs)} outputs, weights {weights}"
            )
        super().__init__(inputs, outputs[0], name=name)
        self.auxiliary_weights = weights
        self.training_graph = keras.Model(inputs, list(outputs), name="training_graph")
        self._main = _Main(keras.Model(inputs, outputs[0], name=self.name))

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """All layers, those of the auxiliary heads too."""
        return self.training_graph.layers if hasattr(self, "training_graph") else super().layers

    def _run_through_graph(self, inputs, operation_fn=lambda operation: operation, call_fn=None):
        """What `keras.models.clone_model` rebuilds: the graph with the heads. Calls go through the two graphs below."""
        if not hasattr(self, "training_graph"):  # Keras' own constructor
            return super()._run_through_graph(inputs, operation_fn=operation_fn, call_fn=call_fn)
        outputs = self.training_graph._run_through_graph(inputs, operation_fn=operation_fn, call_fn=call_fn)
        return _Outputs(outputs, self.auxiliary_weights)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """[batch, height, width, channels] -> the main output; the list of all outputs in training."""
        if training:
            return self.training_graph(inputs, training=True)
        return self._main.graph(inputs, training=training, mask=mask)

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """That of the outputs of `call`."""
        return (self.training_graph if training else self._main.graph).compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the main output."""
        return self._main.graph.compute_output_shape(input_shape)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool | None = True
    ) -> Any:
        """See `keras.Model.compute_loss`; adds the weighted losses of the auxiliary outputs in training."""
        main, *auxiliary = y_pred if isinstance(y_pred, list) else [y_pred]
        total = super().compute_loss(x, y, main, sample_weight, training)
        if auxiliary:
            loss = keras.losses.get(self.loss)
            loss = loss if isinstance(loss, keras.losses.Loss) else _Mean(loss)
            for weight, output in zip(self.auxiliary_weights, auxiliary, strict=True):
                total += weight * loss(y, output, sample_weight=sample_weight)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """See `keras.Model.compute_metrics`; sees the main output."""
        return super().compute_metrics(x, y, y_pred[0] if isinstance(y_pred, list) else y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The whole graph and the weights of its losses."""
        return {
            **self.training_graph.get_config(),
            "name": self.name,
            "trainable": self.trainable,
            "auxiliary_weights": list(self.auxiliary_weights),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "AuxiliaryModel":
        """See `keras.Model.from_config`."""
        config = dict(config)
        weights, name, trainable = config.pop("auxiliary_weights"), config.pop("name"), config.pop("trainable", True)
        graph = keras.Model.from_config({**config, "name": "training_graph"}, custom_objects=custom_objects)
        inputs = graph.inputs[0] if len(graph.inputs) == 1 else graph.inputs
        model = cls(inputs, graph.outputs, name=name, auxiliary_weights=weights)
        if not trainable:  # else each layer keeps its own
            model.trainable = False
        return model
