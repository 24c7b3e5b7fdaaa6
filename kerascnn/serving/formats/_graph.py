"""The network as it is exported: folded, in one precision, as a graph; and what no runtime but TensorFlow's can do."""

import re
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn import _check, ops
from kerascnn._errors import InputError
from kerascnn.inference import saved_model as saved_models
from kerascnn.inference.predictor import Predictor
from kerascnn.serving.formats import _steps
from kerascnn.serving.formats._runtimes import INPUT, OUTPUT
from kerascnn.surgery.replace import copied, rebuild

PRECISIONS = ("float32", "bfloat16", "float16")
_WIDE = ("float32", "mixed_float16", "mixed_bfloat16")
_LARGEST = 2**31 - 2**20  # bytes of a graph that is one protocol buffer


def check_precision(precision: str) -> str:
    """Returns a precision that there is.

    Raises:
        InputError: there is no such.
    """
    return _check.one_of("precision", precision, PRECISIONS)


def folded(predictor: Predictor, precision: str = "float32") -> tuple[keras.Model, list[dict[str, Any]]]:
    """A copy for inference: what does nothing then is gone, batch norm folded, all in one precision.

    Args:
        predictor: with a Keras model.
        precision: one of PRECISIONS. In the two of 16 bits the last layer with weights and what follows it stay in
            float32, and so do the weights of normalizations; inputs and outputs are float32.

    Returns:
        The copy, uncompiled; and the steps that led to it, see `_steps.simplified`.

    Raises:
        InputError: there is no such precision, a layer cannot be copied, or a step gives other answers.
    """
    check_precision(precision)
    network, steps = _steps.simplified(predictor.model, predictor.input_shape)
    return network if precision == "float32" else _narrowed(network, precision), steps


def _narrowed(network: keras.Model, precision: str) -> keras.Model:
    kept = _end(network)

    def change(operation):
        if not isinstance(operation, keras.layers.Layer) or id(operation) in kept:
            return None
        small = all(len(weight.shape) < 2 for weight in operation.weights)
        policy = f"mixed_{precision}" if operation.weights and small else precision
        return copied(operation, lambda config: _with_policy(config, policy))

    return rebuild(network, change, share=False)


def _end(network: keras.Model) -> set[int]:
    """The ids of the last layer with weights and of all that come after it, on the way back from the output."""
    found, tensor = set(), network.outputs[0]
    while True:
        operation = tensor._keras_history.operation
        found.add(id(operation))
        tensors = keras.tree.flatten(operation._inbound_nodes[0].input_tensors) if operation._inbound_nodes else []
        if getattr(operation, "weights", ()) or len(tensors) != 1:
            return found
        (tensor,) = tensors


def _with_policy(config: Any, policy: str) -> Any:
    """The config with every float32 policy in it replaced."""
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(value, policy) for value in config)
    if not isinstance(config, dict):
        return config
    changed = {key: _with_policy(value, policy) for key, value in config.items()}
    given = changed.get("dtype")
    name = given.get("config", {}).get("name", "") if isinstance(given, dict) else given
    return {**changed, "dtype": policy} if name in _WIDE else changed


def parameters(network: keras.Model) -> int:
    """How many numbers the weights of a network are."""
    return int(sum(np.prod(weight.shape) for weight in network.weights))


def frozen(network: keras.Model, predictor: Predictor, batch: int | None = None) -> Any:
    """A network as a `tf.function` whose weights are constants: images -> probabilities, in stock ops.

    It is not traced yet: that is for the converter. kerascnn's ops leave out what guards TensorFlow's own kernels where
    an exporter traces them, and behind such guards converters do not see how many channels a tensor has.

    Args:
        network: of `folded`.
        predictor: whose it is.
        batch: images at a time; None: any number.

    Returns:
        The `tf.function`; input `images`, output `probabilities`, both float32. Tracing it is an `InputError` where a
        layer needs XLA or ops of kerascnn.

    Raises:
        InputError: the weights do not fit into one file.
    """
    size = 4 * parameters(network)
    if size > _LARGEST:
        raise InputError(f"The weights must need less than 2 GiB in one graph. Received: {size:,} bytes")
    values = [
        [np.asarray(x) for x in group] for group in (network.trainable_variables, network.non_trainable_variables)
    ]

    def probabilities(images):
        with ops.native("off"):
            # Converters leave some variables variables, behind custom gradients; constants they cannot miss.
            weights = [[tf.constant(value) for value in group] for group in values]
            outputs, _ = network.stateless_call(*weights, images, training=False)
        answer = tf.cast(outputs, tf.float32)
        refuse_unservable([answer.graph.as_graph_def()], predictor.model, native=False)
        return {OUTPUT: answer}

    spec = tf.TensorSpec([batch, *predictor.input_shape], tf.float32, name=INPUT)
    return tf.function(probabilities, input_signature=[spec], autograph=False)


def refuse_unservable(graphs: Iterable[Any], model: keras.Model, native: bool) -> None:
    """A stock server or converter has no op of ours, and cannot be relied upon to compile with XLA.

    Args:
        graphs: GraphDefs.
        model: whose layers are named in messages.
        native: ops of ours are wanted.

    Raises:
        InputError: there is such an op.
    """
    graphs = list(graphs)
    functions = [function for graph in graphs for function in graph.library.function]
    compiled = {function.signature.name for function in functions if function.attr["_XlaMustCompile"].b}
    nodes = [node for graph in graphs for node in graph.node]
    for node in nodes + [node for function in functions for node in function.node_def]:
        if node.attr["_XlaMustCompile"].b or node.attr["f"].func.name in compiled:
            raise InputError(
                "Nothing in an exported model may need XLA; use kerascnn.layers.Conv2D for grouped convolutions. "
                f"Received: {_culprit(node.name, model)}"
            )
    custom = set().union(*map(saved_models.custom_ops, graphs))
    if custom and not native:
        raise InputError(
            f"With native=False the model must trace without kerascnn's compiled ops. Received: {sorted(custom)}"
        )


def _culprit(node_name: str, model: keras.Model) -> str:
    """The layer under whose name scope a node was traced; a copied layer's scope may end in a number."""
    scopes = {re.sub(r"_\d+$", "", scope) for scope in node_name.split("/")} | set(node_name.split("/"))
    layers, found = list(model.layers), f"the op {node_name}"
    for layer in layers:
        if isinstance(layer, keras.Model):
            layers += layer.layers
        elif layer.name in scopes:
            found = f"the layer {layer.name!r} ({type(layer).__name__})"
    return found
