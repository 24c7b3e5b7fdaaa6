"""What a SavedModel's signatures take and give, without TensorFlow; and whether arrays fit them."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from kerascnn.serving.server.json_values import NUMPY
from kerascnn.serving.server.status import Refusal, invalid

DEFAULT = "serving_default"
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress"))


@dataclasses.dataclass(frozen=True)
class Tensor:
    """The type and shape of an input or output."""

    dtype: str  # as TensorFlow Serving calls it: "float", "string"
    shape: tuple[int | None, ...] | None  # None: of unknown rank

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array has this shape."""
        if self.shape is None:
            return True
        sizes = zip(self.shape, array.shape, strict=False)
        return len(self.shape) == array.ndim and all(wanted in (None, size) for wanted, size in sizes)


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature of a model."""

    name: str
    method: str  # PREDICT, CLASSIFY, REGRESS
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    @property
    def dtypes(self) -> dict[str, str]:
        """The type of each input."""
        return {name: tensor.dtype for name, tensor in self.inputs.items()}

    @property
    def batches(self) -> bool:
        """Whether requests can be computed together: the first dimension of all inputs and outputs may be anything."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return all(tensor.shape is None or tensor.shape[:1] == (None,) for tensor in tensors)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Whether arrays are what the signature takes.

        Args:
            arrays: by the names of inputs.

        Raises:
            Refusal: there are other names, or an array has another type or shape.
        """
        given, wanted = set(arrays), set(self.inputs)
        if given != wanted:
            raise invalid(
                f"input size does not match signature: {len(given)}!={len(wanted)} len({_set(given)}) != "
                f"len({_set(wanted)}). Sent extra: {_set(given - wanted)}. Missing but required: "
                f"{_set(wanted - given)}."
            )
        for name, array in arrays.items():
            tensor = self.inputs[name]
            if tensor.dtype in NUMPY and array.dtype != NUMPY[tensor.dtype]:
                raise invalid(f"Expects input {name} to be {tensor.dtype} but {named(array.dtype)} is provided")
            if not tensor.fits(array):
                raise invalid(f"Input {name} must have shape {shown(tensor.shape)}. Received: {shown(array.shape)}")

    def chosen(self, outputs: Iterable[str]) -> list[str]:
        """The names of the outputs that a request wants.

        Args:
            outputs: its `output_filter`; empty for all.

        Raises:
            Refusal: the signature lacks one, or one is named twice.
        """
        names = list(outputs)
        for index, name in enumerate(names):
            if name not in self.outputs:
                told = f"Outputs expected to be in the set {_set(self.outputs)}."
                raise invalid(f"output tensor alias not found in signature: {name} {told}")
            if name in names[:index]:
                raise invalid(f"duplicate output tensor alias: {name}")
        return names or sorted(self.outputs)


def for_verb(signatures: Mapping[str, Signature], name: str, verb: str, rest: bool = False) -> Signature:
    """The signature that a request asks for.

    Args:
        signatures: of the model, by name.
        name: "" for the default one.
        verb: "predict", "classify" or "regress".
        rest: the request came over HTTP, where TensorFlow Serving answers in other words.

    Raises:
        Refusal: there is none, or it is for another verb.
    """
    name = name or DEFAULT
    signature = signatures.get(name)
    if verb == "predict":
        if signature is None and rest:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        if signature is None:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        return signature
    if signature is None:
        raise invalid(f"No signature was found with the name: {name}")
    wanted, kind = (CLASSIFY, "classification") if verb == "classify" else (REGRESS, "regression")
    if signature.method != wanted:
        raise invalid(f"Expected {kind} signature method_name to be {wanted}. Was: {signature.method}")
    if list(signature.inputs) != ["inputs"] or signature.inputs["inputs"].dtype != "string":
        raise Refusal("FAILED_PRECONDITION", f"No {kind} inputs found in SignatureDef: {name}")
    given = set(signature.outputs)
    if not (given == {"outputs"} if verb == "regress" else given and given <= {"classes", "scores"}):
        raise Refusal("FAILED_PRECONDITION", f"Expected {kind} signature outputs. Signature was: {name}")
    return signature


def named(dtype: np.dtype) -> str:
    """What TensorFlow calls a NumPy type: "float", "string"."""
    return next((name for name, kind in NUMPY.items() if dtype == kind), dtype.name)


def shown(shape: tuple[int | None, ...] | None) -> str:
    """A shape as TensorFlow writes it: [?,3]."""
    return "<unknown>" if shape is None else f"[{','.join('?' if size is None else str(size) for size in shape)}]"


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
