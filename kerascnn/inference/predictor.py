"""A trained network with all that its use needs, as one object: what it is called with, and what its answers mean."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import surgery
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.preprocessing import check_image_shape
from kerascnn.layers import model_preprocessing
from kerascnn.surgery.cut import with_softmax
from kerascnn.tasks import TASKS

PROBABILITIES = ("softmax", "sigmoid")  # the last activations whose outputs are probabilities


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A network in use. Made by `Predictor.from_model`, `inference.checkpoint.load` and `inference.saved_model.load`.

    Example:

        import numpy as np
        import kerascnn
        from kerascnn.inference import Predictor, predict

        model = kerascnn.create_model("lenet5", classes=2)
        preprocessing = kerascnn.model_info("lenet5").preprocessing
        predictor = Predictor.from_model(model, ["cat", "dog"], preprocessing=preprocessing)
        image = predictor.prepare(np.zeros((40, 50, 1), np.uint8))
        predictor.predict(image[None]).shape  # (1, 2)
    """

    class_names: tuple[str, ...]  # one per output
    preprocessing: Preprocessing  # what was done to the pixels in training
    input_shape: tuple[int, int, int]  # height, width, channels
    task: str  # a key of kerascnn.tasks.TASKS
    # float32 [n, *input_shape], preprocessed -> float32 probabilities [n, classes], or of pixels,
    # [n, height, width, classes]
    function: Callable[[np.ndarray], np.ndarray] = dataclasses.field(repr=False)
    # Uncompiled, ends in probabilities; None where there is only a function, as behind a SavedModel.
    model: keras.Model | None = dataclasses.field(default=None, repr=False)
    path: Path | None = None  # the file or folder from which it was loaded
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)  # config.json of the run

    @classmethod
    def from_model(
        cls,
        model: keras.Model,
        class_names: Sequence[str],
        *,
        preprocessing: Preprocessing | None = None,
        input_shape: Sequence[int] | None = None,
        logits: bool | None = None,
        path: str | os.PathLike | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> "Predictor":
        """A Keras model in use; it is left as it is, and shares its weights.

        Args:
            model: functional or built sequential, with one input and one output [n, classes] or
                [n, height, width, classes]; of an `AuxiliaryModel` the main output counts.
            class_names: one per output.
            preprocessing: what was done to the pixels in training; None: what the model itself says.
            input_shape: (height, width, channels); None: that of the model's input.
            logits: whether the outputs are logits, to which a softmax is added; None: told by the last activation.
            path: where the model comes from.
            config: what is recorded of its training.

        Returns:
            The predictor.

        Raises:
            InputError: an argument does not fit the model, it cannot be told whether its outputs are probabilities, or
                its weights are not finite.
        """
        shape, outputs = _shapes(model, input_shape)
        names = check_class_names(class_names, outputs[-1])
        task = task_of(outputs, shape)
        _refuse_diverged(model, path)
        ending = with_probabilities(model, logits)
        constants = model_preprocessing(model) if preprocessing is None else preprocessing
        if not isinstance(constants, Preprocessing):
            raise InputError(f"preprocessing must be a Preprocessing. Received: {preprocessing!r}")
        return cls(
            class_names=names,
            preprocessing=constants.for_channels(shape[2]),
            input_shape=shape,
            task=task,
            function=as_function(ending, shape),
            model=ending,
            path=None if path is None else Path(path),
            config=config or {},
        )

    @property
    def element_shape(self) -> tuple[int, ...]:
        """Shape of what `prepare` gives, for one image: `input_shape`."""
        return self.input_shape

    def prepare(self, image: Any) -> np.ndarray:
        """An image as the network takes it.

        Args:
            image: uint8 [height, width, 1 or 3], of any size.

        Returns:
            float32 [*element_shape].
        """
        return self.prepare_tensor(image).numpy()

    def prepare_tensor(self, image: tf.Tensor) -> tf.Tensor:
        """`prepare` as TensorFlow ops, for a graph; sizes may be unknown there."""
        return TASKS[self.task].prepare(tf.convert_to_tensor(image), self.input_shape, self.preprocessing)

    def predict(self, images: Any) -> np.ndarray:
        """Asks the network.

        Args:
            images: float32 [n, *element_shape], each made by `prepare`.

        Returns:
            Probabilities, float32 [n, classes]; of pixels [n, height, width, classes].

        Raises:
            InputError: images of another shape, or an answer that is not finite.
        """
        images = np.asarray(images, np.float32)
        if images.shape[1:] != self.element_shape:
            raise InputError(f"images must have the shape [n, *{self.element_shape}]. Received: {images.shape}")
        outputs = self.function(images)
        broken = int((~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)).sum())
        if broken:
            raise InputError(
                "The network's outputs must be finite, but its training diverged. "
                f"Received: NaN or infinity for {broken} of {len(outputs)} images{self.origin}"
            )
        return outputs

    @property
    def origin(self) -> str:
        """Where it comes from, to end a message with."""
        return "" if self.path is None else f" from {self.path}"


def task_of(outputs: Sequence[int | None], input_shape: Sequence[int]) -> str:
    """The task of which a network's outputs are.

    Args:
        outputs: shape of the outputs for one image.
        input_shape: (height, width, channels).

    Returns:
        A key of `TASKS`.

    Raises:
        InputError: they are of none.
    """
    for name, task in TASKS.items():
        wanted = task.output_shape(input_shape, outputs[-1])
        if len(wanted) == len(outputs) and all(x in (None, y) for x, y in zip(outputs, wanted, strict=True)):
            return name
    raise InputError(
        "A network must give one probability per class, or for segmentation as many for each pixel of its input. "
        f"Received: outputs {tuple(outputs)} for images {tuple(input_shape)}"
    )


def check_class_names(class_names: Sequence[str], outputs: int) -> tuple[str, ...]:
    """The names as text, one for each output.

    Raises:
        InputError: there are more or fewer, or one is not one line of text.
    """
    if isinstance(class_names, bytes) or not isinstance(class_names, Sequence | np.ndarray):
        raise InputError(f"class_names must be a list of names. Received: {class_names!r}")
    names = tuple(str(name) for name in class_names)
    if len(names) != outputs:
        raise InputError(
            f"There must be one class name for each of the model's {outputs} outputs. Received: {len(names)}"
        )
    if bad := [name for name in names if len(name.splitlines()) != 1]:
        raise InputError(f"A class name must be one line, not empty. Received: {bad[0]!r}")
    return names


def with_probabilities(model: keras.Model, logits: bool | None = None) -> keras.Model:
    """The same layers ending in probabilities. What the outputs are is told by the graph, never by numbers.

    Args:
        model: functional or built sequential, with one output.
        logits: whether the outputs are logits, where the graph cannot tell.

    Returns:
        The model itself where it ends in probabilities, else a model with a float32 softmax behind it.

    Raises:
        InputError: it cannot be told what the outputs are, or `logits` contradicts the graph.
    """
    kind = surgery.final_activation(model)
    if logits is None and kind not in (*PROBABILITIES, "linear"):
        raise InputError(
            "It must be told by the last layer whether the outputs are probabilities (softmax, sigmoid) or logits (no "
            f"activation); else give logits=True or logits=False. Received: {kind or 'an unknown end'} in {model.name}"
        )
    if logits and kind in PROBABILITIES:
        raise InputError(f"The outputs of {model.name} are those of a {kind}, no logits. Received: logits=True")
    if not (kind == "linear" if logits is None else logits):
        return model
    if model.outputs[0].shape[-1] == 1:
        raise InputError(
            "The softmax of a single number is always 1; a model with one output must end in a sigmoid. "
            f"Received: {model.name}, which ends in {kind or 'an unknown end'}"
        )
    return with_softmax(model)


def as_function(model: keras.Model, shape: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """A model as one graph for all batch sizes, traced at its first call.

    Args:
        model: with one output.
        shape: (height, width, channels) of an image.

    Returns:
        float32 [n, *shape] -> float32, of NumPy.
    """

    @functools.cache
    def traced():
        network = keras.Model(model.inputs[0], model.outputs[0])  # the same layers, inputs not in a list
        signature = [tf.TensorSpec([None, *shape], tf.float32)]
        graph = tf.function(
            lambda images: tf.cast(network(images, training=False), tf.float32),
            input_signature=signature, autograph=False,
        )  # fmt: skip
        # Called as it is: of several networks in one process TensorFlow would warn that it traces too often.
        return graph.get_concrete_function()

    return lambda images: traced()(tf.constant(images, tf.float32)).numpy()


def _shapes(model, input_shape):
    """(height, width, channels) of an image, and the output's shape without the batch."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(f"The model must be a functional or built sequential keras.Model. Received: {model!r}")
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) not in (2, 4):
        raise InputError(
            "The model must have one input and one output, [n, classes] or [n, height, width, classes]. "
            f"Received: inputs {[x.shape for x in model.inputs]}, outputs {[x.shape for x in model.outputs]}"
        )
    expected = tuple(model.inputs[0].shape)[1:]
    if input_shape is None:
        if None in expected:
            raise InputError(f"input_shape must be given for a model that takes any size. Received: {expected}")
        input_shape = expected
    shape = check_image_shape(input_shape)
    if len(expected) != 3 or any(size not in (None, given) for size, given in zip(expected, shape, strict=True)):
        raise InputError(f"input_shape must fit the model's input {expected}. Received: {shape}")
    return shape, tuple(model.outputs[0].shape)[1:]


def _refuse_diverged(model, path):
    broken = []
    for weight in model.weights:
        values = np.asarray(weight)
        if values.dtype.kind not in "iub" and not np.isfinite(values).all():
            broken.append(weight.path)
    if broken:
        raise InputError(
            "The network's weights must be finite, but its training diverged. "
            f"Received: NaN or infinity in {len(broken)} of {len(model.weights)}, such as {broken[0]}, of "
            f"{path or model.name}"
        )
