"""One process among several that train one network together."""

import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.data.epochs import Share
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.workers import meeting
from kerascnn.training.workers.members import Members, find

# What TensorFlow raises where another process is gone, beside what it means elsewhere.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class Team:
    """A worker's place among the others; made by `join`, used in a `with` statement around all that can fail.

    Where the `with` statement ends well, the training ends for all; an error that comes out of it ends the others too,
    with its text; and where another worker is lost, this process starts again.

    Args:
        members: who they are.
        out: the run folder.
        talks: the connections; None where the run is finished already.
        strategy: TensorFlow's; None likewise.
    """

    def __init__(
        self,
        members: Members,
        out: str | os.PathLike,
        talks: meeting.Meeting | None,
        strategy: "tf.distribute.MultiWorkerMirroredStrategy | None",
    ):
        self.members, self.strategy, self.out = members, strategy, Path(out)
        self._talks = talks

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.members.is_chief

    @property
    def share(self) -> Share:
        """Which part of each batch is computed here."""
        if self.strategy is None:
            return Share()
        here = self.strategy.num_replicas_in_sync // self.members.count
        return Share(self.members.index * here, here, self.strategy.num_replicas_in_sync)

    def agree(self, value: Any = None) -> Any:
        """Gives all what the chief has; each worker calls it at the same place.

        Args:
            value: JSON values, of the chief.

        Returns:
            The chief's.
        """
        return value if self._talks is None else self._talks.share(value)

    def is_loss(self, error: BaseException) -> bool:
        """Whether an error may mean that another worker is gone.

        Args:
            error: any.
        """
        return self._talks is not None and isinstance(error, _LOST)

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._talks is None:
            return
        if error is None:
            self._talks.finish()
        elif self.is_loss(error):
            self._talks.wait_for_loss()
        elif isinstance(error, Exception):
            self._talks.fail(" ".join(f"{error or type(error).__name__}".split())[:500])


def join(
    members: Members | None = None,
    *,
    out: str | os.PathLike,
    epochs: int | None = None,
    timeout: float = 300.0,
) -> Team:
    """Joins the other workers of a training; to be called before TensorFlow computes anything in this process.

    While the training lasts, a worker that is lost makes all others start again: each replaces itself by a new start
    of its own command line, meets the others here, and goes on after the last finished epoch.

    Args:
        members: who takes part; by default what `find` finds.
        out: the run folder, which all workers see; the chief alone writes it.
        epochs: of the run, where it is known: a worker that comes when they are finished need not wait for the others.
        timeout: seconds to wait for the others.

    Returns:
        The team, for `training.train(..., workers=team)`.

    Raises:
        InputError: the others have not come in time, or do not fit, an address is not to be had, or TensorFlow has
            computed something already.

    Example:

        from kerascnn.training import workers

        with workers.join(workers.find("127.0.0.1:2222", 0), out="runs/a") as team:
            team.share  # Share(first=0, count=1, total=1)
    """
    members = find() if members is None else members
    timeout = _check.real("worker_timeout", timeout, 0.0, 1e6, above=True)
    folder = RunFolder(out)

    def finished() -> int:
        return max(folder.saved_epochs(), default=0)

    def over() -> bool:
        return folder.is_finished(epochs)

    if over():
        return Team(members, out, None, None)
    gpus = len(tf.config.list_physical_devices("GPU"))
    talks = meeting.meet(members, max(1, gpus), timeout, over, finished)
    if talks is None:
        return Team(members, out, None, None)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": talks.addresses}), task_type="worker", task_id=members.index,
        num_accelerators={"GPU": gpus}, rpc_layer="grpc",
    )  # fmt: skip
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except RuntimeError as error:
        talks.fail("TensorFlow was used before the workers joined")
        rule = "Workers must join before TensorFlow computes anything in their process"
        raise InputError(f"{rule}. Received: {' '.join(str(error).split())[:200]}") from error
    # The number of batches is known; otherwise all workers would ask each other before each step whether one is left.
    strategy.extended.experimental_enable_get_next_as_optional = False
    return Team(members, out, talks, strategy)
