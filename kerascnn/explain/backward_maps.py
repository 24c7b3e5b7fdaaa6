"""What guided backpropagation and the deconvnet share: a signal that is handed back from a score to the image."""

from typing import Any

from kerascnn import _check
from kerascnn.explain.derivatives import slopes
from kerascnn.explain.explanation import Explanation, Network, Target, ask
from kerascnn.explain.relu_rules import with_rule


def signal_map(
    method: str, guided: bool, model: Network, images: Any, target: Target, layer: str | None, batch_size: int
) -> Explanation:
    """The signal at the image.

    Args:
        method: the name of the method.
        guided: the guided rule; else the deconvnet's.
        model, images, target, layer, batch_size: see `guided_backprop`.
    """
    if layer is not None:
        raise _check.refuse("layer", f"None for {method}, whose signal goes back to the image", layer)
    batch_size = _check.whole("batch_size", batch_size, 1)
    question = ask(model, images, target, batch_size=batch_size, now=False)
    network, others = question.prepared.once(("rule", guided), lambda: with_rule(question.model, guided, method))
    question, _, raw = slopes(network, question, batch_size)
    maps, options = abs(raw).max(axis=-1), {"unchanged": others}
    return Explanation(maps, raw, None, question.target, question.scores, method, options)
