"""tf.Examples for signatures that classify or regress, and what those answer.

Source: tensorflow/serving, servables/tensorflow/{util,classifier,regressor}.cc.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kerascnn.serving.server.json_examples import Example
from kerascnn.serving.server.signatures import named, shown
from kerascnn.serving.server.status import invalid


def serialized(examples: Sequence[Example], context: Example) -> np.ndarray:
    """tf.Examples as the input of a signature.

    Args:
        examples: their features by name.
        context: features that each of them has, too.

    Returns:
        Object array of bytes [n].
    """
    return as_input([_proto(example).SerializeToString() for example in examples], _proto(context).SerializeToString())


def as_input(examples: Sequence[bytes], context: bytes = b"") -> np.ndarray:
    """Serialized examples, each behind the context that is merged with it, as an object array."""
    values = np.empty(len(examples), object)
    values[:] = [context + example for example in examples]
    return values


def _proto(example: Example) -> tf.train.Example:
    proto = tf.train.Example()
    for name, (kind, values) in example.items():
        feature = proto.features.feature[name]
        if kind:
            getattr(feature, f"{kind}_list").value.extend(values)
    return proto


def classifications(outputs: Mapping[str, np.ndarray], count: int) -> list[list[tuple[str, float]]]:
    """For each example its (label, score) pairs, "" and 0 for what the signature does not give.

    Args:
        outputs: "classes", string [n, k], and "scores", float [n, k], or one of them.
        count: of examples.

    Raises:
        Refusal: an output has another type or shape.
    """
    for name, wanted in (("classes", "string"), ("scores", "float")):
        array = outputs.get(name)
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {shown(array.shape)}")
        if named(array.dtype) != wanted:
            raise invalid(f"Expected {name} Tensor of DT_{wanted.upper()}. Got: {named(array.dtype)}")
        if len(array) != count:
            raise invalid(f"Expected {name} output batch size of {count}. Got: {len(array)}")
    classes, scores = outputs.get("classes"), outputs.get("scores")
    if classes is not None and scores is not None and classes.shape != scores.shape:
        sizes = f"{classes.shape[1]} vs. {scores.shape[1]}"
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {sizes}")
    shape = scores.shape if classes is None else classes.shape
    labels = [[""] * shape[1]] * shape[0] if classes is None else [[_text(v) for v in row] for row in classes.tolist()]
    values = np.zeros(shape).tolist() if scores is None else scores.tolist()
    return [list(zip(names, numbers, strict=True)) for names, numbers in zip(labels, values, strict=True)]


def regressions(outputs: Mapping[str, np.ndarray], count: int) -> list[float]:
    """For each example its value.

    Args:
        outputs: "outputs", float [n] or [n, 1].
        count: of examples.

    Raises:
        Refusal: the output has another type or shape.
    """
    array = outputs["outputs"]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        wanted = "either [batch_size] or [batch_size, 1]"
        raise invalid(f"Expected output Tensor shape to be {wanted} but got {shown(array.shape)}")
    if len(array) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT. Got: {named(array.dtype)}")
    return array.reshape(-1).tolist()


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
