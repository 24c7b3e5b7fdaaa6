"""Attention rollout: which patches the tokens that the head reads have come from, through all attentions."""

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.explain.derivatives import enlarged
from kerascnn.explain.explanation import Explanation, Network, Question, Target, ask
from kerascnn.explain.places import takes_class_token
from kerascnn.explain.token_grids import Grid, grids
from kerascnn.layers import PerformerAttention, SelfAttention, WindowAttention
from kerascnn.surgery.cut import input_in
from kerascnn.surgery.graph import walk
from kerascnn.surgery.inline import bare
from kerascnn.surgery.replace import over

L = keras.layers


def attention_rollout(
    model: Network, images: npt.ArrayLike, target: Target = None, *, layer: str | None = None, batch_size: int = 32
) -> Explanation:
    """The product of all attention matrices, the mean over heads and half of the identity for the shortcut in each.

    With A_l the mean over the heads of what the tokens of layer l attend to, R = (A_L + I) / 2 ... (A_1 + I) / 2; rows
    add up to 1. The map is the row of the class token (the mean of the rows where there are several, or where the head
    pools the patches), at the patches. It does not depend on the class, knows nothing of values and MLPs, and is
    defined only where each attention is a matrix over the same tokens: ViT and its like. Swin (windows), T2T-ViT and
    PiT (several numbers of tokens, random features) and MLP-Mixer (none) are refused.

    Source: Abnar, Zuidema: Quantifying Attention Flow in Transformers, 2020, arXiv:2005.00928, section 3.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels], which is kept; or
            a `Predictor` of one. Attentions are `kerascnn.layers.SelfAttention` or `keras.layers.MultiHeadAttention`.
        images: a batch, preprocessed as the model takes it.
        target: the class whose score is told; the map is the same for all.
        layer: must be None: all attentions count.
        batch_size: images at a time.

    Returns:
        An `Explanation`; `raw` is R, [n, tokens, tokens]: row i is where token i has come from.

    Raises:
        InputError: an argument cannot be used, or the attentions of the network are no matrices over the same tokens.

    Example:

        model = kerascnn.create_model("vit_thin_patch4_32")
        found = kerascnn.explain.attention_rollout(model, images)  # found.raw: [n, 65, 65], found.maps: [n, 32, 32]
    """
    if layer is not None:
        raise _check.refuse("layer", "None for attention_rollout, in which all attentions count", layer)
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size)
    attentions, tensors, grid, class_token = _attentions(question)
    network = over(question.model, tensors)
    parts = []
    for start in range(0, len(question.images), batch_size):
        given = network(question.images[start : start + batch_size], training=False)
        product = None
        for attention, x in zip(attentions, given, strict=True):
            matrix = _matrix(attention, x)
            matrix = 0.5 * matrix + 0.5 * np.eye(matrix.shape[-1])
            product = matrix if product is None else matrix @ product
        parts.append(product)
    raw = np.concatenate(parts)
    read = list(range(grid.before)) + list(range(raw.shape[1] - grid.after, raw.shape[1]))
    rows = raw[:, read] if class_token else raw[:, grid.before : raw.shape[1] - grid.after]
    seen = grid.map(rows.mean(axis=1)[:, :, None])[..., 0].astype("float32")
    options = {"attentions": [attention.name for attention in attentions]}
    maps = enlarged(seen, question.images.shape[1:3])
    raw = raw.astype("float32")
    return Explanation(maps, raw, None, question.target, question.scores, "attention_rollout", options)


def _attentions(question: Question) -> tuple[list, list, Grid, bool]:
    """Attention layers in their order, what each is given, the tokens' grid, and whether a class token is read."""
    graph = walk(question.model, question.images.shape[1:])
    known = grids(graph)
    calls = [call for call in graph.calls if "Attention" in type(bare(call.operation)).__name__]
    if not calls:
        raise _refused(question, "no attention")
    for call in calls:
        operation = bare(call.operation)
        what = f"{call.name} ({type(operation).__name__})"
        if isinstance(operation, WindowAttention):
            raise _refused(question, f"{what}, whose tokens see their windows alone")
        if isinstance(operation, PerformerAttention):
            raise _refused(question, f"{what}, which estimates its matrix and never makes it")
        own = isinstance(operation, SelfAttention | L.MultiHeadAttention)
        masked = call.arguments.get("use_causal_mask") or len({value.number for value in call.inputs}) != 1
        if not own or masked:
            raise _refused(question, f"{what}, which is no self-attention that is known")
        if call.inputs[0].number not in known:
            raise _refused(question, f"{what}, whose tokens are no places of the image")
    found = {known[call.inputs[0].number] for call in calls}
    if len(found) != 1 or len({call.x[1] for call in calls}) != 1:
        sizes = dict.fromkeys(call.x[1] for call in calls)
        raise _refused(question, f"attentions over {', '.join(map(str, sizes))} tokens")
    operations = [call.operation for call in calls]
    if len({id(x) for x in operations}) != len(operations):
        raise _refused(question, "an attention that is called more than once")
    last = next(call for call in reversed(graph.calls) if call.outputs[0].number in known)
    tensors = [input_in(question.model, operation) for operation in operations]
    return [bare(x) for x in operations], tensors, found.pop(), takes_class_token(graph, last)


def _matrix(attention: keras.layers.Layer, x: tf.Tensor) -> np.ndarray:
    """What each token attends to, the mean over the heads: float64 [n, tokens, tokens]."""
    if isinstance(attention, L.MultiHeadAttention):
        _, scores = attention(x, x, return_attention_scores=True, training=False)
        return np.asarray(scores, "float64").mean(axis=1)
    tokens, width = x.shape[1], x.shape[2] // 3
    query, key, _ = tf.unstack(tf.reshape(x, (-1, tokens, 3, attention.heads, width // attention.heads)), axis=2)
    scale = (width // attention.heads) ** -0.5 if attention.scale is None else attention.scale
    scores = tf.nn.softmax(scale * tf.einsum("bqhd,bkhd->bhqk", query, key))
    return scores.numpy().astype("float64").mean(axis=1)


def _refused(question: Question, what: str) -> InputError:
    return InputError(
        "attention_rollout needs a network whose attentions are matrices over the same tokens, as in ViT. "
        f"Received: {question.model.name} with {what}"
    )
