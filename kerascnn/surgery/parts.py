"""The parts of a network from its input to its head, as the names of its layers tell them: stem, stage1, ..., head."""

import dataclasses
import re

import keras

from kerascnn._errors import InputError
from kerascnn.surgery.replace import check

HEAD = "head"  # the classifier is called so in every network


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Layers with weights that belong together."""

    name: str
    layers: tuple[keras.layers.Layer, ...]


def path_of(layer: keras.layers.Layer, weight: keras.Variable) -> str:
    """The path of a layer's weight from the layer's name on.

    What stands before it is the name of the model or nothing, depending on whether the model was read from a file.

    Args:
        layer: a layer of a model.
        weight: one of its weights.
    """
    names = weight.path.split("/")
    return "/".join(names[names.index(layer.name) :]) if layer.name in names else weight.path


def parts(model: keras.Model) -> tuple[Part, ...]:
    """Divides a network into the parts that are trained at rates of their own, or one after the other.

    Layers whose names share what stands before the first underscore are one part: a ResNet has stem, stage1 to stage4
    and head, a ViT patch, block1 to block12 and head. A layer whose name Keras made up (conv2d_3) is a part by itself.
    A part has a kernel: what has none (normalization, tokens, positions) belongs to the part before it. Auxiliary
    heads belong to the head.

    Args:
        model: a functional or built sequential `keras.Model`.

    Returns:
        The parts, the first one first, each at the place of its first layer; the last is the head: the layers whose
        names begin with "head", else the last part.

    Raises:
        InputError: the model has no graph, or no kernel.

    Example:

        [part.name for part in parts(kerascnn.create_model("resnet18"))]  # stem, stage1, ..., stage4, head
    """
    check(model)
    main = {id(layer) for layer in keras.Model(model.inputs, model.outputs).layers}
    groups: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        if layer.weights:
            groups.setdefault(_name(layer) if id(layer) in main else HEAD, []).append(layer)
    head = groups.pop(HEAD, None)
    found: list[tuple[str, list[keras.layers.Layer]]] = []
    waiting: list[keras.layers.Layer] = []
    for name, layers in [*groups.items(), *([(HEAD, head)] if head else [])]:
        if name != HEAD and not any("kernel" in weight.name for layer in layers for weight in layer.weights):
            (found[-1][1] if found else waiting).extend(layers)
            continue
        found.append((name, [*waiting, *layers]))
        waiting = []
    if not found:
        raise InputError(f"The model must have layers with kernels. Received: {model.name}")
    return tuple(Part(name, tuple(layers)) for name, layers in found)


def _name(layer: keras.layers.Layer) -> str:
    own = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    return layer.name if own == type(layer).__name__.lower() else layer.name.partition("_")[0]
