"""The models that a server has: versions that come and go, states as TensorFlow Serving's, requests that finish first.

A version that appears is loaded and tried with its warm-up requests while the one before still answers; one that fails
is reported with the state END and its error, skipped, and tried again when its files change. A version that is not
wanted any more takes no new requests, and is dropped when the last one on it has ended.

Departures: where the highest version cannot be loaded, the next lower one is.

Source: tensorflow/serving, core/servable_state.h, g3doc/architecture.md, apis/get_model_status.proto.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kerascnn import _check
from kerascnn.serving.server import versions
from kerascnn.serving.server.model import Model, State, Version
from kerascnn.serving.server.status import Refusal, invalid

Load = Callable[[Path], Any]  # a folder -> a `loading.Servable`; raises Refusal
_LOG = logging.getLogger("kerascnn.serving")


class Models:
    """All models of a server.

    Args:
        models: with names of their own.
        load: loads a version; its `warm_up()` is called before the version answers, its `close()` when it is dropped.
        interval: seconds between two looks at the folders.

    Raises:
        InputError: there is no model, two have one name, or the interval is not positive.
    """

    def __init__(self, models: Sequence[Model], load: Load, interval: float = 1.0):
        names = [model.name for model in models]
        if not names or len(set(names)) != len(names):
            raise _check.refuse("models", "at least one, each with a name of its own", names)
        self._models = {model.name: model for model in models}
        self._load = load
        self._interval = _check.real("interval", interval, 0.0, above=True)
        self._lock = threading.Lock()  # guards states, leases and the tables of versions
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> list[str]:
        """The models' names, alphabetically."""
        return sorted(self._models)

    def start(self) -> None:
        """Looks at the folders now and from then on, in a thread; call it once."""
        self._thread = threading.Thread(target=self._watch, name="kerascnn-versions", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 0.0) -> bool:
        """Ends the thread.

        Args:
            seconds: to wait for a version that is being loaded.

        Returns:
            Whether the thread has ended.
        """
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_check.real("seconds", seconds, 0.0))
        return self._thread is None or not self._thread.is_alive()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self.poll()
            except Exception:  # a fault of ours must not end the watch
                _LOG.exception("fault")
            self._stopped.wait(self._interval)

    def poll(self) -> None:
        """One look at all folders: loads what is new, drops what is no longer wanted."""
        for model in self._models.values():
            try:
                self._update(model)
            except Refusal as error:  # the folder is gone, or cannot be read: what is loaded stays
                if model.error != str(error):
                    _LOG.warning("folder", extra={"model": model.name, "error": str(error)})
                model.error = str(error)

    def _update(self, model: Model) -> None:
        found = versions.numbered(model.folder)
        model.error = "" if found else f"No versions of servable {model.name} found under base path {model.folder}"
        wanted, latest = set(), 0
        labelled = set(model.labels.values())
        for number in sorted(found, reverse=True):
            if self._stopped.is_set():
                return
            if latest < model.latest or number in labelled:
                if self._available(model, number, found[number]):
                    wanted.add(number)
                    latest += 1
        for version in list(model.versions.values()):
            if version.state is State.AVAILABLE and version.number not in wanted:
                self._retire(version)
        with self._lock:
            model.forget(found)

    def _available(self, model: Model, number: int, folder: Path) -> bool:
        """Whether a version answers; loads it where it was not tried yet, or its files have changed since."""
        version = model.versions.get(number)
        if version is not None and version.state is State.AVAILABLE:
            return True
        if version is not None and version.state is State.UNLOADING:
            return False
        print_ = versions.fingerprint(folder)
        if version is not None and version.code != "OK" and version.fingerprint == print_:
            return False
        version = Version(model.name, number, print_)
        with self._lock:
            model.versions[number] = version
        self._enter(version, State.LOADING)
        servable = None
        try:
            servable = self._load(folder)
            servable.warm_up()
        except Exception as error:  # whatever a damaged file makes TensorFlow raise, the server goes on
            refusal = error if isinstance(error, Refusal) else Refusal("INTERNAL", f"{type(error).__name__}: {error}")
            if servable is not None:
                servable.close()
            version.code, version.message = refusal.code, str(refusal)
            self._enter(version, State.END)
            return False
        version.servable = servable
        self._enter(version, State.AVAILABLE)
        return True

    def _retire(self, version: Version) -> None:
        self._enter(version, State.UNLOADING)
        with self._lock:
            ended = version.leases == 0
        if ended:
            self._drop(version)

    def _drop(self, version: Version) -> None:
        with self._lock:
            servable, version.servable = version.servable, None
        if servable is not None:
            servable.close()
            self._enter(version, State.END)

    def _enter(self, version: Version, state: State) -> None:
        with self._lock:
            version.state = state
        facts = {"model": version.model, "version": version.number, "state": state.name}
        if version.code != "OK":
            facts |= {"code": version.code, "error": version.message[:300]}
        _LOG.log(logging.WARNING if version.code != "OK" else logging.INFO, "version", extra=facts)

    def ready(self) -> bool:
        """Whether each model has a version that answers."""
        with self._lock:
            return all(model.highest() is not None for model in self._models.values())

    def states(self, name: str, version: int | None = None, label: str | None = None) -> list[Version]:
        """The versions of a model that were seen, highest first, or one of them.

        Args:
            name: of the model.
            version: a number; None for all.
            label: instead of a number.

        Raises:
            Refusal: there is no such model, version or label.
        """
        model = self._models.get(name)
        with self._lock:
            seen = dict(model.versions) if model else {}
        if not seen:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {name}")
        number = self._number(name, version, label)
        if number is None:
            return [seen[key] for key in sorted(seen, reverse=True)]
        if number not in seen:
            raise Refusal("NOT_FOUND", f"Could not find version {number} of model {name}")
        return [seen[number]]

    def _number(self, name: str, version: int | None, label: str | None) -> int | None:
        if version is not None and label is not None:
            told = f"Both model version ({version}) and model version label ({label}) cannot be supplied."
            raise invalid(told)
        if label is None:
            return version
        labels = self._models[name].labels if name in self._models else {}
        if label not in labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return labels[label]

    @contextlib.contextmanager
    def lease(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Version]:
        """A version that answers, which stays until the request has ended.

        Args:
            name: of the model.
            version: a number; None for the highest that answers.
            label: instead of a number.

        Raises:
            Refusal: there is none.
        """
        number = self._number(name, version, label)
        with self._lock:
            model = self._models.get(name)
            found = None if model is None else model.highest() if number is None else model.answering(number)
            if found is not None:
                found.leases += 1
        if found is None:
            asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {asked}")
        try:
            yield found
        finally:
            self.release(found)

    def retain(self, version: Version) -> None:
        """Keeps a leased version until `release`, for a computation that may outlive its request."""
        with self._lock:
            version.leases += 1

    def release(self, version: Version) -> None:
        """Ends what `retain` or `lease` began."""
        with self._lock:
            version.leases -= 1
            ended = version.leases == 0 and version.state is State.UNLOADING
        if ended:
            self._drop(version)
