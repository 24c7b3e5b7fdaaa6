"""What can be asked of an export, whatever the protocol is."""

import abc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.serving.client import answers, batches, inputs
from kerascnn.serving.client.errors import ServerError
from kerascnn.serving.client.inputs import Image
from kerascnn.serving.client.records import Signature, VersionStatus
from kerascnn.serving.client.retrying import Deadline, Retries, persist

T = TypeVar("T")
_MOST_BYTES = 16 * 2**20  # of one request, unless a single image has more
_POLL, _NOT_THERE = 0.1, (404, "NOT_FOUND")  # of a server that is not ready: seconds between two looks; its refusals


class ModelClient(abc.ABC):
    """Asks one model on one server; `Client` does it over REST, `GrpcClient` over gRPC. Threads may share it.

    Images are sent in requests of at most `max_batch` images and 16 MiB, up to `in_flight` of them at a time, and the
    answers come in the order of the images.

    Args:
        model: the name that the server gives the model (MODEL_NAME).
        version: a version number; None: the highest that is loaded.
        timeout: seconds for one request with all its attempts.
        label: the label of a version, in the place of its number.
        retries: how often and when a request is sent again.
        max_batch: images of one request.
        in_flight: requests at a time.

    Raises:
        InputError: an argument cannot be used.
    """

    address = ""  # of the model, for errors

    def __init__(
        self,
        model: str,
        version: int | None = None,
        timeout: float = 30.0,
        *,
        label: str | None = None,
        retries: Retries | None = None,
        max_batch: int = 32,
        in_flight: int = 4,
    ):
        if not isinstance(model, str) or not model:
            raise _check.refuse("model", "the name of a model", model)
        if version is not None and label is not None:
            raise InputError(f"version or label must be given, not both. Received: {version} and {label}")
        self.model, self.label = model, label
        self.version = None if version is None else _check.whole("version", version, 0, 2**63 - 1)
        self.timeout = _check.real("timeout", timeout, 0.0, 86_400.0, above=True)
        self.retries = retries or Retries()
        self.max_batch = _check.whole("max_batch", max_batch, 1)
        self.in_flight = _check.whole("in_flight", in_flight, 1)

    @abc.abstractmethod
    def _ask(self, signature: str, name: str, values: Any, deadline: Deadline) -> Mapping[str, Any]:
        """Outputs by name, each with one row for each of `values`; a single output may be called ""."""

    @abc.abstractmethod
    def _status(self, deadline: Deadline) -> list[VersionStatus]: ...

    @abc.abstractmethod
    def _signatures(self, deadline: Deadline) -> dict[str, Signature]: ...

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def status(self) -> list[VersionStatus]:
        """The states of the model's versions.

        Raises:
            ServerError: the server is not there, or does not know the model.
        """
        return self._persist(self._status)

    def signatures(self) -> dict[str, Signature]:
        """What the model can be asked: the inputs and outputs of each signature.

        Raises:
            ServerError: the server is not there, or has no version loaded.
        """
        return self._persist(self._signatures)

    def ready(self) -> bool:
        """Whether a version of the model is loaded and answers; raises as `status` does."""
        return _available(self.status())

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns once a version of the model answers; until then the server need not be there yet.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ServerError: none does in that time, or the server refuses for another reason.
        """
        deadline = Deadline(_check.real("timeout", timeout, 0.0, 86_400.0))
        while True:
            last = "no version is available"
            try:
                if _available(self._status(Deadline(max(0.05, min(self.timeout, deadline.left()))))):
                    return
            except ServerError as error:
                if not (error.passing or error.status in (None, *_NOT_THERE)):
                    raise
                last = error.reason
            if deadline.left() <= _POLL:
                rule = f"A version must be available within {timeout:g} s (last: {last})"
                raise ServerError(f"{rule}. Received: {self.address}", None, last, passing=False)
            time.sleep(_POLL)

    def classify(self, images: Iterable[Image], *, return_errors: bool = False) -> list[Any]:
        """The most probable classes of images.

        Args:
            images: paths of files, or their contents, or pixels: uint8 [height, width, channels].
            return_errors: give the error of an image that the server cannot read in its place, instead of raising it.

        Returns:
            For each image (class name, probability) pairs, most probable first; or an `InputError`.

        Raises:
            InputError: a file cannot be read, or the server cannot read an image.
            ServerError: the server is not there, refuses, or answers something else.

        Example:

            from kerascnn.serving import Client

            [[(best, probability), *_]] = Client("http://localhost:8501", "flowers").classify(["tulip.jpg"])
        """
        return self._of_files("serving_default", images, answers.classes, "for classification", return_errors)

    def classify_pixels(self, images: Any) -> list[answers.Classes]:
        """The most probable classes of pixels of one size, by the signature `pixels`; best over gRPC.

        Args:
            images: uint8 [n, height, width, channels], with the channels that the network has.

        Returns:
            For each image (class name, probability) pairs, most probable first.

        Raises:
            InputError: another type or shape.
            ServerError: as for `classify`.
        """
        return self._of_arrays("pixels", "pixels", inputs.pixels(images), answers.classes, "for classification")

    def segment(self, images: Iterable[Image]) -> np.ndarray:
        """The class of each pixel of images, as they are fitted into the network's input.

        Args:
            images: paths of files, or their contents, or pixels: uint8 [height, width, channels].

        Returns:
            uint8 [n, height, width], numbers of the lines of the model's assets/class_names.txt.

        Raises:
            InputError, ServerError: as for `classify`.
        """
        read = answers.array("class_map", np.uint8)
        return np.stack(self._of_files("serving_default", images, read, "for segmentation", False))

    def features(self, images: Iterable[Image], *, return_errors: bool = False) -> Any:
        """The embeddings of images, by the signature `features`.

        Args:
            images: paths of files, or their contents, or pixels: uint8 [height, width, channels].
            return_errors: as for `classify`; the answer is then a list.

        Returns:
            float32 [n, channels]; with `return_errors` a list of arrays [channels] and errors.

        Raises:
            InputError, ServerError: as for `classify`.
        """
        read = answers.array("features", np.float32, alone=True)
        rows = self._of_files("features", images, read, "with features", return_errors)
        return rows if return_errors else np.stack(rows)

    def probabilities(self, images: Any) -> np.ndarray:
        """The probabilities of all classes for preprocessed images.

        Args:
            images: float [n, height, width, channels].

        Returns:
            float32 [n, classes] or, for segmentation, [n, height, width, classes], in the order of the model's
            assets/class_names.txt.

        Raises:
            InputError: another shape, or a value that is not finite.
            ServerError: as for `classify`.
        """
        read = answers.array("probabilities", np.float32, alone=True)
        rows = np.stack(self._of_arrays("tensors", "images", inputs.tensors(images), read, ""))
        return rows if rows.ndim == 4 else rows.reshape(len(rows), -1)

    def _of_files(self, signature: str, images, read: Callable, what: str, return_errors: bool) -> list[Any]:
        groups = batches.split(inputs.files(images), len, self.max_batch, _MOST_BYTES)

        def ask(group: list[bytes]) -> list[Any]:
            answer = self._persist(lambda deadline: self._ask(signature, "image_bytes", group, deadline))
            rows = answers.rows(answer, read, len(group), what)
            return [fault or row for fault, row in zip(answers.faults(answer, len(group)), rows, strict=True)]

        found: list[Any] = []
        for rows in batches.in_order(ask, groups, self.in_flight):
            for row in rows:
                if isinstance(row, answers.Fault):
                    row = row.of(images, len(found))
                    if not return_errors:
                        raise row
                found.append(row)
        return found

    def _of_arrays(self, signature: str, name: str, images: np.ndarray, read: Callable, what: str) -> list[Any]:
        groups = batches.split(images, lambda image: image.nbytes, self.max_batch, _MOST_BYTES)

        def ask(group: list[np.ndarray]) -> list[Any]:
            answer = self._persist(lambda deadline: self._ask(signature, name, np.stack(group), deadline))
            return answers.rows(answer, read, len(group), what)

        return [row for rows in batches.in_order(ask, groups, self.in_flight) for row in rows]

    def _persist(self, ask: Callable[[Deadline], T]) -> T:
        deadline = Deadline(self.timeout)
        return persist(lambda: ask(deadline), self.retries, deadline)


def _available(versions: list[VersionStatus]) -> bool:
    return any(version.state == "AVAILABLE" for version in versions)
