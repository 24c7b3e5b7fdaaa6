"""What a MultiInferenceRequest asks for: several classifications and regressions of one input.

Its signatures must read the same tensor. Those that TensorFlow 2 writes read one each, so that a request with two tasks
is for models of TensorFlow 1; TensorFlow Serving refuses all others in the same words.

Source: tensorflow/serving, apis/inference.proto, servables/tensorflow/multi_inference{,_helper}.cc.
"""

from collections.abc import Sequence
from typing import Any

from kerascnn.serving.server.model import Version
from kerascnn.serving.server.signatures import CLASSIFY, DEFAULT, REGRESS, Signature, for_verb
from kerascnn.serving.server.status import Refusal, invalid

_VERBS = {CLASSIFY: "classify", REGRESS: "regress"}


def signatures(version: Version, tasks: Sequence[Any]) -> list[Signature]:
    """The signature of each task.

    Args:
        version: leased, of the model that the first task names.
        tasks: messages InferenceTask.

    Returns:
        One signature a task.

    Raises:
        Refusal: a task names no model, another one, or a signature twice; there is no such signature, it has another
            method, or reads another tensor than the others.
    """
    found: list[Signature] = []
    for task in tasks:
        name = task.model_spec.signature_name or DEFAULT
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != version.model:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in [signature.name for signature in found]:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        if name not in version.servable.signatures:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name not in _VERBS:
            raise Refusal("UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name}")
        found.append(for_verb(version.servable.signatures, name, _VERBS[task.method_name]))
        if _tensor(version, found[-1]) != _tensor(version, found[0]):
            raise invalid("Input tensor must be the same for all Signatures.")
    return found


def _tensor(version: Version, signature: Signature) -> str:
    """The name in the graph of what a signature reads."""
    return version.servable.definitions[signature.name].inputs["inputs"].name
