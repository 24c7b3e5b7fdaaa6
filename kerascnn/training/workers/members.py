"""Who takes part in a training by several processes: told by arguments, by TF_CONFIG or by Slurm. No TensorFlow."""

import dataclasses
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence

from kerascnn import _check
from kerascnn._errors import InputError

_PARAMETER_SERVER = (
    "Parameter servers update weights without waiting for each other, so that no two runs give the same result, and "
    "Keras 3 cannot fit under them; use worker tasks alone"
)
_EVALUATOR = "There is no evaluator: the workers share the validation too; use worker tasks alone"
_SLURM_PORTS = (15_000, 16_000)  # the first, and how many: below those that Linux gives to whoever asks for any


@dataclasses.dataclass(frozen=True)
class Members:
    """The processes of one training, as one of them knows them.

    Raises:
        InputError: the numbers or addresses cannot be.
    """

    count: int
    index: int  # of this process; 0 is the chief
    chief: str  # host:port
    own: str  # host:port of this process, as the others reach it

    def __post_init__(self):
        _check.whole("the number of workers", self.count, 1, 10_000)
        _check.whole("worker_index", self.index, 0, self.count - 1)
        for address in (self.chief, self.own):
            split_address(address)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.index == 0


def find(workers: str | Sequence[str] | None = None, worker_index: int | None = None) -> Members:
    """Finds the members: from the arguments, else from TF_CONFIG, else from Slurm's variables.

    Args:
        workers: host:port of each worker, the chief first, the same in every process; a text has commas between them.
        worker_index: which of them this process is, from 0.

    Returns:
        The members.

    Raises:
        InputError: what is said cannot be used, asks for parameter servers, or nothing is said.

    Example:

        from kerascnn.training import workers

        workers.find("127.0.0.1:2222,127.0.0.1:2223", 1).chief  # "127.0.0.1:2222"
    """
    if workers is not None or worker_index is not None:
        if workers is None or worker_index is None:
            given = f"workers={workers}, worker_index={worker_index}"
            raise InputError(f"workers and worker_index are given together. Received: {given}")
        addresses = workers.split(",") if isinstance(workers, str) else list(workers)
        return listed([address.strip() for address in addresses], worker_index)
    if os.environ.get("TF_CONFIG"):
        return from_tf_config(os.environ["TF_CONFIG"])
    if "SLURM_PROCID" in os.environ:
        return from_slurm(os.environ)
    raise InputError(
        "strategy=multiworker needs to know the workers: local_workers, workers and worker_index, TF_CONFIG, or a job "
        "step of Slurm. Received: none of them"
    )


def listed(addresses: Sequence[str], index: int) -> Members:
    """The members from their addresses.

    Args:
        addresses: host:port of each, the chief first.
        index: of this process.

    Raises:
        InputError: an address is not host:port, is there twice, or the index is none of theirs.
    """
    if len(set(addresses)) != len(addresses):
        raise InputError(f"Each worker must have an address of its own. Received: {','.join(addresses)}")
    for address in addresses:
        split_address(address)
    index = _check.whole("worker_index", index, 0, len(addresses) - 1)
    return Members(len(addresses), index, addresses[0], addresses[index])


def from_tf_config(text: str) -> Members:
    """The members from TF_CONFIG, whose chief, where it has one, comes before its workers.

    Args:
        text: JSON: {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}.

    Raises:
        InputError: it is something else, or has tasks other than chief and workers.
    """
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        tasks = {name: list(map(str, addresses)) for name, addresses in cluster.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        rule = 'TF_CONFIG must be JSON with "cluster" and "task", as TensorFlow describes it'
        raise InputError(f"{rule}. Received: {text[:200]}") from error
    for name, reason in (("ps", _PARAMETER_SERVER), ("evaluator", _EVALUATOR)):
        if name in tasks or kind == name:
            raise InputError(f"{reason}. Received: {name} in TF_CONFIG")
    unknown = sorted({*tasks, kind} - {"chief", "worker"})
    if unknown or kind not in tasks or not 0 <= index < len(tasks[kind]):
        raise InputError(f"TF_CONFIG must have chief and worker tasks, this one among them. Received: {text[:200]}")
    before = tasks.get("chief", []) if kind == "worker" else []
    return listed([*tasks.get("chief", []), *tasks.get("worker", [])], len(before) + index)


def from_slurm(variables: Mapping[str, str]) -> Members:
    """The members from the variables of a job step that srun started with one task per worker.

    The chief is task 0, which Slurm puts on the first node; each worker tells it where it is itself, so that no rule
    of Slurm for the others has to be guessed. (TensorFlow's SlurmClusterResolver sorts the nodes by letters: n10
    before n2, and then takes one task for the other.) The port follows from the number of the job, so that two jobs on
    a node have their own.

    Args:
        variables: SLURM_PROCID, SLURM_NTASKS (or SLURM_STEP_NUM_TASKS), SLURM_JOB_NODELIST (or
            SLURM_STEP_NODELIST); where they are: SLURM_LOCALID, SLURMD_NODENAME, SLURM_JOB_ID.

    Raises:
        InputError: one is missing or cannot be used.
    """
    count = _number(variables, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    nodes = variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_JOB_NODELIST")
    if not nodes:
        raise InputError("Slurm's SLURM_JOB_NODELIST must name the nodes. Received: nothing")
    index = _number(variables, "SLURM_PROCID")
    place = _number(variables, "SLURM_LOCALID") if "SLURM_LOCALID" in variables else 0
    first, span = _SLURM_PORTS
    job = _number(variables, "SLURM_JOB_ID") if "SLURM_JOB_ID" in variables else 0
    port = first + job * 16 % span
    host = variables.get("SLURMD_NODENAME") or socket.gethostname()
    chief = f"{first_node(nodes)}:{port}"
    return Members(count, index, chief, chief if index == 0 else f"{host}:{port + place}")


def first_node(nodes: str) -> str:
    """The first name of Slurm's list of nodes: "n[03-05,7],m2" -> "n03".

    Raises:
        InputError: it is no such list.
    """
    match = re.match(r"([\w.-]+)(?:\[([0-9]+)[^\]]*\]([\w.-]*))?(?:,|$)", nodes)
    if match is None:
        raise InputError(f"The list of nodes must be as Slurm writes it: n[03-05,7],m2. Received: {nodes[:200]}")
    return match[1] + (match[2] or "") + (match[3] or "")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port"; the host of "[::1]:2222" is "::1".

    Raises:
        InputError: it is something else.
    """
    host, _, port = address.rpartition(":")
    if (
        not re.fullmatch(r"[0-9]{1,5}", port)
        or not 0 < int(port) < 65536
        or not re.fullmatch(r"\[[^]]+\]|[^:\s]+", host)
    ):
        raise InputError(f"A worker's address must be host:port. Received: {address!r}")
    return host.strip("[]"), int(port)


def _number(variables, *names) -> int:
    for name in names:
        if name in variables:
            if not variables[name].isdecimal():
                raise InputError(f"Slurm's {name} must be a number. Received: {variables[name]!r}")
            return int(variables[name])
    raise InputError(f"Slurm's {names[-1]} must be set; start the workers by srun. Received: nothing")
