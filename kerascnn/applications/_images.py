"""`preprocess_input` and `decode_predictions` of the family modules."""

from collections.abc import Callable, Sequence

import keras

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing


def pixels_and_labels(preprocessing: Preprocessing) -> tuple[Callable, Callable]:
    """A family's `preprocess_input`, made from the constants in its rows, and its `decode_predictions`."""
    return _pixels(preprocessing), decode_predictions


def pixels_and_areas(preprocessing: Preprocessing) -> tuple[Callable, Callable]:
    """The same for networks of segmentation."""
    return _pixels(preprocessing), decode_areas


def _pixels(preprocessing: Preprocessing) -> Callable:
    def preprocess_input(x):
        """Turns pixel values into what the networks of this module are fed: (x / 255 - mean) / std per channel.

        Args:
            x: array or tensor [..., channels] with values 0..255, of any numeric type.

        Returns:
            float32 of the same shape; a NumPy array for a NumPy array, else a tensor.
        """
        constants = preprocessing.for_channels(x.shape[-1])
        is_tensor = keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor)
        y = keras.ops.cast(x, "float32") / 255.0
        y = (y - keras.ops.array(constants.mean, "float32")) / keras.ops.array(constants.std, "float32")
        return y if is_tensor else keras.ops.convert_to_numpy(y)

    return preprocess_input


def decode_predictions(preds, top: int = 5, class_names: Sequence[str] | None = None) -> list[list[tuple]]:
    """Names the most probable classes.

    Args:
        preds: [batch, classes], array or tensor.
        top: how many classes to name for each image.
        class_names: one name per class. Without them the 1000 ImageNet classes are assumed, whose names Keras
            downloads once.

    Returns:
        For each image a list of tuples, best first: (name, probability) with `class_names`, else Keras'
        (WordNet id, name, probability).

    Raises:
        InputError: `preds` has another rank, or another number of classes than there are names.
    """
    if len(preds.shape) != 2:
        raise InputError(f"preds must be [batch, classes]. Received: shape {tuple(preds.shape)}")
    if class_names is None:
        if preds.shape[1] != 1000:
            raise InputError(
                f"Without class_names, preds must be over the 1000 ImageNet classes. Received: {preds.shape[1]} classes"
            )
        return keras.applications.imagenet_utils.decode_predictions(keras.ops.convert_to_numpy(preds), top=top)
    if len(class_names) != preds.shape[1]:
        raise InputError(
            f"class_names must have one name per class, {preds.shape[1]}. Received: {len(class_names)} names"
        )
    rows = keras.ops.convert_to_numpy(preds)
    return [[(class_names[i], float(row[i])) for i in (-row).argsort(kind="stable")[:top]] for row in rows]


def decode_areas(preds, top: int = 5, class_names: Sequence[str] | None = None) -> list[list[tuple]]:
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
    if len(preds.shape) != 4:
        raise InputError(f"preds must be [batch, height, width, classes]. Received: shape {tuple(preds.shape)}")
    classes = preds.shape[3]
    if class_names is not None and len(class_names) != classes:
        raise InputError(f"class_names must have one name per class, {classes}. Received: {len(class_names)} names")
    names = range(classes) if class_names is None else class_names
    chosen = keras.ops.one_hot(keras.ops.argmax(preds, axis=-1), classes)
    shares = keras.ops.convert_to_numpy(keras.ops.mean(chosen, axis=(1, 2)))
    return [[(names[i], float(row[i])) for i in (-row).argsort(kind="stable")[:top] if row[i] > 0] for row in shares]
