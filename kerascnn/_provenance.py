"""Where a result comes from: versions, commit, command line, environment."""

import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from kerascnn import __version__

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "h5py", "pillow", "tensorflow-datasets")
# Variables that change what is computed, or say which part of a job this is; others may be nobody's business.
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "KERASCNN_NATIVE", "KERAS_BACKEND", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS",
    "SLURM_JOB_ID", "SLURM_PROCID", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE", "TF_DETERMINISTIC_OPS",
    "TF_DISABLE_MKL", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_XLA_FLAGS",
    "XLA_FLAGS",
)  # fmt: skip
# An absolute path within a text: what comes before it is no part of a path or an address, and neither // nor / alone.
_PATH = re.compile(r"""(?<![\w.~/-])(?:~[\w.-]*)?/(?=[^\s/])[^\s'",;:=]*""")
_LONGEST = 1000  # letters of a value
_SECONDS = 5  # that git may take


def provenance() -> dict[str, Any]:
    """What has to be known to do the same again, at this moment, as plain JSON values.

    Returns:
        "time" (UTC, ISO 8601), "command" (paths as `masked` has them), "versions" by package, "commits" ("kerascnn": of
        the checkout that this package lies in; "directory": of the one that the process was started in; each with
        "-changed" where files differ from it, None where there is none), "system", "processors", and "environment": the
        variables that change what Keras and TensorFlow compute.
    """
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join([os.path.basename(sys.argv[0]), *map(_masked_word, sys.argv[1:])])[: 10 * _LONGEST],
        "versions": {"kerascnn": __version__, "python": platform.python_version(), **_versions()},
        "commits": {"kerascnn": commit(Path(__file__).parent), "directory": commit(Path.cwd())},
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "environment": _environment(),
    }


def commit(folder: Path) -> str | None:
    """The commit that is checked out where a folder lies, with "-changed" where tracked files differ from it.

    Args:
        folder: any; git's index is not touched.

    Returns:
        40 hexadecimal digits, or None: no checkout, or no git.
    """
    number = _git(folder, "rev-parse", "HEAD")
    if not number or not _git(folder, "ls-files", "--error-unmatch", "."):  # a virtual environment in a checkout
        return None
    return number + ("-changed" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder, *words) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", os.fspath(folder), *words],
            capture_output=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _environment() -> dict[str, str]:
    chosen = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return {name: masked(value)[:_LONGEST] for name, value in chosen.items() if value.isprintable()}


def masked(value: Any) -> Any:
    """What may be kept and shown to others: without names of folders that nobody else has.

    Args:
        value: a text, or plain JSON values with texts in them, as keys too.

    Returns:
        The same, in which absolute paths below the directory of this process are relative to it, and of others the last
        name stands alone: ".../name".
    """
    if isinstance(value, str):
        return _PATH.sub(lambda match: _short(match[0]), value)
    if isinstance(value, dict):
        return {masked(key): masked(part) for key, part in value.items()}
    return [masked(part) for part in value] if isinstance(value, list | tuple) else value


def _masked_word(word: str) -> str:
    """A word of a command line, whose path may have spaces in it: "--out=/a b/c"."""
    name, equals, path = word.partition("=") if word.startswith("-") else ("", "", word)
    return name + equals + _short(path) if os.path.isabs(path) else masked(word)


def _short(path: str) -> str:
    here = os.getcwd()
    inside = os.path.isabs(path) and os.path.commonpath([here, path]) == here and here != os.sep
    if inside:
        return os.path.relpath(path, here)
    return f".../{os.path.basename(path.rstrip(os.sep))}"
