"""Layers that carry more than their weights: low-rank adapters (LoRA) are merged, quantized kernels are refused.

LoRA, Hu et al. 2021, arXiv:2106.09685: a frozen kernel W and a trained product A B of rank r act as
    W + alpha / r * A B,
which is a kernel like any other once it is added up.
"""

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.surgery.graph import has_graph
from kerascnn.surgery.replace import called

_KEYS = ("lora_rank", "lora_alpha")  # of a layer's config


def merged_weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    """The weights that the layer has once its adapters, and those of layers inside it, are merged.

    Args:
        layer: a built layer; it does not change.

    Returns:
        The arrays in the order of `layer.weights`, without those of the adapters; each in the dtype of its variable.
    """
    merged, dropped = {}, set()
    for inner in layer._flatten_layers():
        if not getattr(inner, "lora_enabled", False):
            continue
        down, up = (w for w in inner.weights if w.name.startswith("lora_"))
        base = getattr(inner, "_kernel", None)
        base = inner._embeddings if base is None else base
        product = np.matmul(np.asarray(down, "float64"), np.asarray(up, "float64"))
        alpha = getattr(inner, "lora_alpha", None) or inner.lora_rank
        merged[id(base)] = np.asarray(base, "float64") + alpha / inner.lora_rank * product
        dropped |= {id(down), id(up)}
    kept = [w for w in layer.weights if id(w) not in dropped]
    return [merged.get(id(w), keras.ops.convert_to_numpy(w)) for w in kept]


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables of a layer in the order of its file, without those of adapters and without random state."""
    return [w for w in layer.weights if not w.name.startswith("lora_")]


def reset_adapters(layer: keras.layers.Layer) -> None:
    """Makes the adapters of a layer, and of those inside it, add nothing, as when they were new."""
    for inner in layer._flatten_layers():
        if getattr(inner, "lora_enabled", False):
            up = [w for w in inner.weights if w.name.startswith("lora_")][1]
            up.assign(keras.ops.zeros_like(up))


def without_adapters(config):
    """A layer's config, without the adapters of the layer and of those inside it."""
    if isinstance(config, list | tuple):
        return type(config)(map(without_adapters, config))
    if not isinstance(config, dict):
        return config
    return {key: without_adapters(value) for key, value in config.items() if key not in _KEYS}


def refuse_quantized(model: keras.Model, step: str) -> None:
    """Refuses a model with quantized layers.

    Args:
        model: any `keras.Model` with a graph.
        step: what comes before quantization: "Batch norms are folded".

    Raises:
        InputError: a layer of the model, or inside one, is quantized.
    """
    for layer in model.layers:
        if has_graph(layer):
            refuse_quantized(layer, step)
            continue
        for inner in layer._flatten_layers():
            mode = getattr(inner, "quantization_mode", None)
            if mode:
                raise InputError(f"{step} before a model is quantized. Received: {called(inner)} in {mode}")
