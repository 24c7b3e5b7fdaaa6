"""What servers tell about themselves, alike over REST and gRPC."""

import dataclasses

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
# TensorFlow's number of a type -> its name there, and ours.
KINDS = {
    1: ("DT_FLOAT", "float32"), 2: ("DT_DOUBLE", "float64"), 3: ("DT_INT32", "int32"), 4: ("DT_UINT8", "uint8"),
    5: ("DT_INT16", "int16"), 6: ("DT_INT8", "int8"), 7: ("DT_STRING", "string"), 9: ("DT_INT64", "int64"),
    10: ("DT_BOOL", "bool"), 14: ("DT_BFLOAT16", "bfloat16"), 17: ("DT_UINT16", "uint16"), 19: ("DT_HALF", "float16"),
    22: ("DT_UINT32", "uint32"), 23: ("DT_UINT64", "uint64"),
}  # fmt: skip
NAMES = dict(KINDS.values())


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """How a version of a model is."""

    version: int
    state: str  # "START", "LOADING", "AVAILABLE", "UNLOADING" or "END"
    code: str = "OK"  # what went wrong: "NOT_FOUND"
    message: str = ""  # in the server's words


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature."""

    dtype: str  # "float32", "string"
    shape: tuple[int | None, ...] | None  # None: any rank; None in it: any size


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a model can be asked."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    method: str = ""  # "tensorflow/serving/predict"
