"""What `kerascnn train` and `kerascnn finetune` do so that several processes train together."""

from collections.abc import Callable

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli.command import Flag, Values
from kerascnn.cli.console import PlainConsole
from kerascnn.cli.loading import load_tensorflow

FLAGS = (
    Flag(
        "local_workers",
        "train by so many processes on this machine; one that is killed is started again",
        int,
        low=1,
        high=1000,
    ),
    Flag("workers", "host:port of each worker, the chief first, with commas; see docs/distributed.md"),
    Flag("worker_index", "which of --workers this process is", int, low=0, high=9999),
    Flag("worker_timeout", "seconds to wait for the other workers", float, 300.0, low=1, high=1e6),
)
_ASKING = ("local_workers", "workers", "worker_index")


def attend(values: Values, overrides: Values, console: Console, work: Callable) -> int | None:
    """Does the work of a command, as one of several workers where that was asked for.

    Args:
        values: the flags.
        overrides: the fields of `TrainConfig` among them; "strategy" is set where another flag implies it.
        console: for what is said; the chief alone says it.
        work: is called with the team, or None, and the console.

    Returns:
        The exit status; None: 0.

    Raises:
        InputError: the flags do not fit together, or the others have not come.
    """
    asking = [name for name in _ASKING if values[name] is not None]
    if asking and overrides.setdefault("strategy", "multiworker") != "multiworker":
        raise InputError(f"{', '.join(asking)} must be for strategy=multiworker. Received: {overrides['strategy']}")
    if overrides.get("strategy") != "multiworker" or values["dry_run"]:
        load_tensorflow()
        return work(None, console)
    from kerascnn.training.run_folder import RunFolder
    from kerascnn.training.workers import find, launch

    if values["local_workers"] is not None and not launch.is_launched():
        if values["workers"] is not None or values["worker_index"] is not None:
            raise InputError("local_workers chooses the workers itself. Received: workers or worker_index, too")
        folder = RunFolder(values["out"])
        return launch.launch(
            values["local_workers"], launch.command_line(), lambda: max(folder.saved_epochs(), default=0)
        )
    members = find(values["workers"], values["worker_index"])
    load_tensorflow()
    from kerascnn.training.workers import join

    with join(members, out=values["out"], epochs=overrides.get("epochs"), timeout=values["worker_timeout"]) as team:
        return work(team, console if team.is_chief else PlainConsole(quiet=True))
