"""The class activation map: the score of a class as the mean of a map."""

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.derivatives import enlarged
from kerascnn.explain.explanation import Explanation, Network, Question, Target, ask
from kerascnn.explain.places import Place, path_of, with_output
from kerascnn.explain.token_grids import grids
from kerascnn.layers import StageOutput
from kerascnn.surgery.graph import walk
from kerascnn.surgery.inline import bare

L = keras.layers
_POOLING = (L.GlobalAveragePooling2D, L.GlobalAveragePooling1D)
_PASSING = (
    L.Dropout, L.SpatialDropout2D, L.Flatten, L.Reshape, L.Identity, L.ActivityRegularization, StageOutput,
)  # fmt: skip


def cam(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The sum of the last maps, each times the weight that the classifier gives to its mean.

    The mean of the map over its positions is the score without the bias, exactly. Networks that end in global average
    pooling and one dense layer (or a 1x1 convolution in its place) have it, and those that end in the pooling, whose
    last map of a class is its own; others are refused, `grad_cam` is for them. Where the class has positive weights and
    negative evidence, both are in the map, which is not cut off at 0.

    Source: Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative Localization, 2016,
    arXiv:1512.04150, equation 2.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one.
        images: a batch, preprocessed as the model takes it.
        target: a class, by number or by name, for all images, or one for each; None: that with the highest score.
        layer: must be None: it is the layer that is pooled.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is the map at the layer's size, [n, rows, columns], which `maps` enlarge bilinearly.
        `options["bias"]` is what the score has beside the mean of the map, [n].

    Raises:
        InputError: an argument cannot be used, what the model's outputs are cannot be told, or the network does not end
            in global average pooling and at most one dense layer.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.explain.cam(model, images, target=7)  # found.raw: [n, 7, 7]
    """
    if layer is not None:
        raise _check.refuse("layer", "None for cam, whose layer is the one that is pooled", layer)
    batch_size = _check.whole("batch_size", batch_size, 1)
    if callable(target):
        raise _check.refuse("target", "a class for cam, whose weights are those of classes", target)
    question = ask(model, images, target, batch_size=batch_size)
    place, kernel, bias = _end(question)
    network = with_output(question, place.operation)
    starts = range(0, len(question.images), batch_size)
    seen = [network(question.images[start : start + batch_size], training=False)[0] for start in starts]
    seen = place.map(np.concatenate(seen)).astype("float64")
    raw = np.einsum("nhwc,cn->nhw", seen, kernel[:, question.target]).astype("float32")
    maps, options = enlarged(raw, question.images.shape[1:3]), {"bias": bias[question.target].tolist()}
    return Explanation(maps, raw, place.name, question.target, question.scores, "cam", options)


def _end(question: Question) -> tuple[Place, np.ndarray, np.ndarray]:
    """What is pooled, and the weights [channels, classes] and biases [classes] of its means."""
    graph = walk(question.model, question.images.shape[1:])
    maker = {value.number: call for call in graph.calls for value in call.outputs}
    value, dense = graph.outputs[0], None
    while value.number in maker:
        call = maker[value.number]
        operation = bare(call.operation)
        value = call.inputs[0]
        if isinstance(operation, _POOLING):
            break
        passes = isinstance(operation, _PASSING) and value.shape[-1] == call.y[-1]
        if passes or getattr(operation, "activation", None) is keras.activations.linear and _is_activation(operation):
            continue
        if dense is None and _is_dense(operation, value.shape):
            dense = operation
            continue
        raise _refused(question, path_of(question, call.operation), operation)
    if value.number not in maker:
        raise _refused(question, "its input", question.model.inputs[0])
    source = maker[value.number]
    grid = grids(graph).get(value.number)
    if len(value.shape) == 3 and (grid is None or grid.before or grid.after):
        raise _refused(question, source.name, source.operation)
    place = Place(source.operation, path_of(question, source.operation), grid)
    if dense is None:
        return place, np.eye(value.shape[-1]), np.zeros(value.shape[-1])
    kernel = np.asarray(dense.kernel, "float64").reshape(value.shape[-1], -1)
    bias = np.asarray(dense.bias, "float64") if dense.use_bias else np.zeros(kernel.shape[1])
    return place, kernel, bias


def _is_activation(operation) -> bool:
    return isinstance(operation, L.Activation)


def _is_dense(operation, shape) -> bool:
    """Whether a layer is dense on the channels of one position, without an activation."""
    if getattr(operation, "activation", None) is not keras.activations.linear:
        return False
    if isinstance(operation, L.Conv2D):
        return shape[1:3] == (1, 1) and operation.kernel.shape[:2] == (1, 1) and operation.groups == 1
    return isinstance(operation, L.Dense)


def _refused(question: Question, name: str, operation) -> InputError:
    return InputError(
        "cam needs a network that ends in global average pooling of maps and at most one dense layer; grad_cam takes "
        f"others. Received: {question.model.name} with {name} ({type(operation).__name__})"
    )
