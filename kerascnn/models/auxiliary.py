"""A model class for networks whose inner layers have classifiers of their own while they train."""

from collections.abc import Sequence

import keras

from kerascnn._errors import InputError


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

    `fit` minimises loss(y, main) + sum of weight * loss(y, auxiliary), with the one loss that `compile` was given
    (Szegedy et al. 2014, arXiv:1409.4842, section 5; Lee et al. 2014, arXiv:1409.5185, equation 3). Metrics see the
    main output. Called with `training=False`, and so by `evaluate`, `predict` and an export, the model gives its main
    output alone; with `training=True` it gives the list of all. `model.outputs` is the main output; `layers`, `weights`
    and files include those of the auxiliary heads.

    Args:
        inputs: the input as a Keras tensor.
        outputs: Keras tensors [batch, ..., classes]: the main output, then at least one auxiliary output.
        auxiliary_weights: one factor, not negative, per auxiliary output.
        name: of the model.

    Raises:
        InputError: the number of weights is not that of the auxiliary outputs, or one is negative.
    """

    def __init__(self, inputs, outputs: Sequence, auxiliary_weights: Sequence[float], name: str | None = None):
        weights = tuple(float(weight) for weight in auxiliary_weights)
        if len(outputs) < 2 or len(weights) != len(outputs) - 1 or min(weights) < 0:
            raise InputError(
                "outputs must be the main one and at least one auxiliary one, with a weight that is not negative for "
                f"each of those. Received: {len(outputs)} outputs, weights {weights}"
            )
        super().__init__(inputs, outputs[0], name=name)
        self.auxiliary_weights = weights
        self.training_graph = keras.Model(inputs, list(outputs), name="training_graph")

    @property
    def layers(self):
        """All layers, those of the auxiliary heads too."""
        return self.training_graph.layers if hasattr(self, "training_graph") else super().layers

    def call(self, inputs, training=None, mask=None):
        """[batch, height, width, channels] -> the main output; the list of all outputs in training."""
        if training:
            return self.training_graph(inputs, training=True)
        return super().call(inputs, training=training, mask=mask)

    def compute_output_shape(self, input_shape):
        """That of the main output."""
        graph = keras.Model(self.inputs, self.outputs[0])
        return graph.compute_output_shape(input_shape)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """See `keras.Model.compute_loss`; adds the weighted losses of the auxiliary outputs in training."""
        main, *auxiliary = y_pred if isinstance(y_pred, list) else [y_pred]
        total = super().compute_loss(x, y, main, sample_weight, training)
        if auxiliary:
            loss = keras.losses.get(self.loss)
            loss = loss if isinstance(loss, keras.losses.Loss) else _Mean(loss)
            for weight, output in zip(self.auxiliary_weights, auxiliary, strict=True):
                total += weight * loss(y, output, sample_weight=sample_weight)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """See `keras.Model.compute_metrics`; sees the main output."""
        return super().compute_metrics(x, y, y_pred[0] if isinstance(y_pred, list) else y_pred, sample_weight)

    def get_config(self):
        """The whole graph and the weights of its losses."""
        return {
            **self.training_graph.get_config(),
            "name": self.name,
            "trainable": self.trainable,
            "auxiliary_weights": list(self.auxiliary_weights),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """See `keras.Model.from_config`."""
        config = dict(config)
        weights, name = config.pop("auxiliary_weights"), config.pop("name")
        graph = keras.Model.from_config({**config, "name": "training_graph"}, custom_objects=custom_objects)
        inputs = graph.inputs[0] if len(graph.inputs) == 1 else graph.inputs
        return cls(inputs, graph.outputs, weights, name=name)
