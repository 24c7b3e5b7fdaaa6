"""`preprocess_input` and `decode_predictions` of the family modules, and `ModelInfo.preprocess`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.applications import _registry
from kerascnn.applications._classes import imagenet_classes


def pixels_and_labels(module: str) -> tuple[Callable, Callable]:
    """`preprocess_input` and `decode_predictions` of a family module, whose `__name__` is given."""
    return _pixels(module), decode_predictions


def pixels_and_areas(module: str) -> tuple[Callable, Callable]:
    """The same for networks of semantic segmentation."""
    return _pixels(module), decode_areas


def preprocess(x: Any, preprocessing: Preprocessing) -> Any:
    """Turns pixel values into what a network is fed: (x / 255 - mean) / std per channel.

    Args:
        x: array or tensor [..., channels] with values 0..255, of any numeric type.
        preprocessing: the network's constants; a number of channels that is not theirs gets the mean over theirs.

    Returns:
        float32 of the same shape; a NumPy array for a NumPy array, else a tensor.

    Raises:
        InputError: `x` has no shape, or no known number of channels.
    """
    shape = getattr(x, "shape", None)
    if not shape or shape[-1] is None:
        raise InputError(f"Pixels must be an array or tensor [..., channels]. Received: {_described(x)}")
    constants = preprocessing.for_channels(shape[-1])
    is_tensor = keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor)
    y = keras.ops.cast(x, "float32") / 255.0
    y = (y - keras.ops.array(constants.mean, "float32")) / keras.ops.array(constants.std, "float32")
    return y if is_tensor else keras.ops.convert_to_numpy(y)


def _described(x) -> str:
    return f"shape {tuple(x.shape)}" if hasattr(x, "shape") else repr(x)[:80]


def _pixels(module: str) -> Callable:
    family = module.rpartition(".")[2]

    def preprocess_input(x: Any) -> Any:
        """Turns pixel values into what the networks of this module are fed: (x / 255 - mean) / std per channel.

        Only where all of them are fed the same; `kerascnn.model_info(NAME).preprocess` serves every network.

        Args:
            x: array or tensor [..., channels] with values 0..255, of any numeric type.

        Returns:
            float32 of the same shape; a NumPy array for a NumPy array, else a tensor.

        Raises:
            InputError: the networks of this module do not agree.
        """
        rows = [_registry.model_info(name) for name in _registry.list_models(family=family)]
        if len({(row.preprocessing.mean, row.preprocessing.std) for row in rows}) > 1:
            raise InputError(
                f"The networks of {family} are not all fed the same; use kerascnn.model_info(NAME).preprocess, NAME "
                f"one of {', '.join(row.name for row in rows[:3])}, ... Received: {_described(x)}"
            )
        return preprocess(x, rows[0].preprocessing)

    return preprocess_input


def decode_predictions(preds: Any, top: int = 5, class_names: Sequence[str] | None = None) -> list[list[tuple]]:
    """Names the most probable classes.

    Args:
        preds: [batch, classes], array or tensor.
        top: how many classes to name for each image, at most.
        class_names: one name per class; None: the 1000 classes of ImageNet.

    Returns:
        For each image a list of tuples, best first: (name, probability) with `class_names`, else as Keras gives them
        (WordNet id, name, probability).

    Raises:
        InputError: `preds` has another rank, or another number of classes than there are names.

    Example:

        decode_predictions(model.predict(images), top=1)  # [[("n02123045", "tabby", 0.61)], ...]
    """
    top = _check.whole("top", top, 1)
    if len(getattr(preds, "shape", ())) != 2:
        raise InputError(f"preds must be [batch, classes]. Received: {_described(preds)}")
    classes = preds.shape[1]
    if class_names is None and classes != 1000:
        raise InputError(
            f"Without class_names, preds must be over the 1000 ImageNet classes. Received: {classes} classes"
        )
    if class_names is not None and len(class_names) != classes:
        raise InputError(f"class_names must have one name per class, {classes}. Received: {len(class_names)} names")
    names = imagenet_classes() if class_names is None else [(name,) for name in class_names]
    rows = keras.ops.convert_to_numpy(preds)
    return [[(*names[i], float(row[i])) for i in (-row).argsort(kind="stable")[:top]] for row in rows]


def decode_areas(preds: Any, top: int = 5, class_names: Sequence[str] | None = None) -> list[list[tuple]]:
    """Names the classes that cover the most of each image.

    Args:
        preds: [batch, height, width, classes], array or tensor: probabilities or logits of every pixel.
        top: how many classes to name for each image, at most.
        class_names: one name per class; without them classes are named by their numbers.

    Returns:
        For each image a list of tuples, largest first: (name, share of the pixels whose most probable class it is);
        classes that no pixel has are left out.

    Raises:
        InputError: `preds` has another rank, or another number of classes than there are names.
    """
    top = _check.whole("top", top, 1)
    if len(getattr(preds, "shape", ())) != 4:
        raise InputError(f"preds must be [batch, height, width, classes]. Received: {_described(preds)}")
    classes = preds.shape[3]
    if class_names is not None and len(class_names) != classes:
        raise InputError(f"class_names must have one name per class, {classes}. Received: {len(class_names)} names")
    names = range(classes) if class_names is None else class_names
    chosen = keras.ops.one_hot(keras.ops.argmax(preds, axis=-1), classes)
    shares = keras.ops.convert_to_numpy(keras.ops.mean(chosen, axis=(1, 2)))
    return [[(names[i], float(row[i])) for i in (-row).argsort(kind="stable")[:top] if row[i] > 0] for row in shares]
