"""What answers of exports hold, and what is told where they hold something else."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn.serving.client.errors import ServerError

Answer = Mapping[str, Any]  # outputs by name, each with a row for each image; a single one may be called ""
Classes = list[tuple[str, float]]  # (class name, probability), most probable first


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why the server could not read one image."""

    reason: str

    def of(self, images: Any, index: int) -> InputError:
        """The error for it.

        Args:
            images: what was asked about; a path in a list is named.
            index: of the image.
        """
        image = images[index] if isinstance(images, (list, tuple)) else None
        name = f" ({os.fspath(image)})" if isinstance(image, (str, os.PathLike)) else ""
        rule = f"Each image must be one that the server can read ({self.reason})"
        return InputError(f"{rule}. Received: images[{index}]{name}")


def faults(answer: Answer, count: int) -> list[Fault | None]:
    """The images that the server could not read; servers of older exports refuse the whole request instead.

    Args:
        answer: of a signature for files.
        count: of images.
    """
    words = texts(answer.get("errors", [""] * count))
    return [Fault(" ".join(str(word).split())[:200]) if word else None for word in words]


def rows(answer: Answer, read: Callable[[Answer], Any], count: int, what: str) -> list[Any]:
    """What is read from an answer, a row for each image.

    Args:
        answer: of the server.
        read: what of it; raises `KeyError`, `TypeError` or `ValueError` where that is not in it.
        count: of images.
        what: the export must be for, for the error.

    Raises:
        ServerError: the answer is of another kind.
    """
    try:
        found = list(read(answer))
    except (TypeError, KeyError, ValueError) as error:
        rule = f"The server must run an export of kerascnn {what}".rstrip()
        raise ServerError(f"{rule}. Received: {str(dict(answer))[:200]}") from error
    if len(found) != count:
        raise ServerError(f"The server must answer {count} predictions. Received: {len(found)}")
    return found


def classes(answer: Answer) -> list[Classes]:
    """The classes of each image."""
    pairs = zip(texts(answer["classes"]), _plain(answer["probabilities"]), strict=True)
    return [list(zip(*pair, strict=True)) for pair in pairs]


def array(name: str, dtype: Any, alone: bool = False) -> Callable[[Answer], np.ndarray]:
    """A function that reads an output of numbers.

    Args:
        name: of the output.
        dtype: of the numbers.
        alone: whether it may be the only output, which has no name over REST.
    """
    return lambda answer: np.asarray(answer["" if alone and name not in answer else name], dtype)


def texts(values: Any) -> Any:
    """Strings, nested as they are; gRPC gives bytes."""
    values = _plain(values)
    if isinstance(values, list):
        return [texts(value) for value in values]
    return values.decode(errors="replace") if isinstance(values, bytes) else values


def _plain(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray) else values
