"""How requests are batched, in TensorFlow Serving's words and file.

Source: tensorflow/serving, tensorflow_serving/batching/README.md and servables/tensorflow/session_bundle_config.proto.
"""

import dataclasses
import os
import re
from pathlib import Path

from kerascnn import _check
from kerascnn._errors import InputError

_ENTRY = re.compile(
    r"(?P<name>[a-z_]+)\s*(?::\s*(?P<plain>-?\d+)|:?\s*\{\s*value\s*:\s*(?P<wrapped>-?\d+)\s*\})[,;\s]*"
)
_THREAD_POOL = re.compile(r'thread_pool_name\s*:?\s*(\{\s*value\s*:\s*"[^"]*"\s*\}|"[^"]*")')  # means nothing here


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """When waiting requests are computed together.

    Args:
        max_batch_size: images, or rows, of a batch; a larger request is refused.
        batch_timeout_micros: how long the first request of a batch waits for others.
        num_batch_threads: batches that are computed at a time.
        max_enqueued_batches: batches of one signature that may wait; beyond them requests are refused at once.
        allowed_batch_sizes: a batch is filled up to the next of these sizes; the last one is max_batch_size.

    Raises:
        InputError: a number is out of its range, or the sizes do not ascend to max_batch_size.
    """

    max_batch_size: int = 8
    batch_timeout_micros: int = 2000
    num_batch_threads: int = dataclasses.field(default_factory=cores)
    max_enqueued_batches: int = 64
    allowed_batch_sizes: tuple[int, ...] = ()

    def __post_init__(self):
        _check.whole("max_batch_size", self.max_batch_size, 1, 2**20)
        _check.whole("batch_timeout_micros", self.batch_timeout_micros, 0, 60_000_000)
        _check.whole("num_batch_threads", self.num_batch_threads, 1, 4096)
        _check.whole("max_enqueued_batches", self.max_enqueued_batches, 1, 2**20)
        sizes = self.allowed_batch_sizes
        if sizes and (sizes[0] < 1 or sizes[-1] != self.max_batch_size or list(sizes) != sorted(set(sizes))):
            rule = f"ascending, from at least 1 to max_batch_size={self.max_batch_size}"
            raise _check.refuse("allowed_batch_sizes", rule, sizes)

    def padded(self, size: int) -> int:
        """How many rows a batch of `size` rows is filled up to."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


def read(path: str | os.PathLike) -> BatchingParameters:
    """Reads a file for TensorFlow Serving's `--batching_parameters_file`.

    Args:
        path: of a text such as "max_batch_size { value: 8 }", one parameter a line, # before comments.

    Returns:
        The parameters, those that are absent with their defaults here.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise InputError(f"The batching parameters cannot be read ({reason}). Received: {path}") from error
    text = re.sub(r"#.*", "", text)
    text = _THREAD_POOL.sub("", text).strip()
    names = {field.name for field in dataclasses.fields(BatchingParameters)}
    values, at = {}, 0
    while at < len(text):
        entry = _ENTRY.match(text, at)
        if entry is None or entry["name"] not in names:
            received = " ".join(text[at : at + 60].split())
            raise InputError(
                f"A batching parameter must be NAME {{ value: N }}, of {', '.join(sorted(names))}. Received: {received}"
            )
        number = int(entry["plain"] or entry["wrapped"])
        if entry["name"] == "allowed_batch_sizes":
            values["allowed_batch_sizes"] = (*values.get("allowed_batch_sizes", ()), number)
        else:
            values[entry["name"]] = number
        at = entry.end()
    return BatchingParameters(**values)
