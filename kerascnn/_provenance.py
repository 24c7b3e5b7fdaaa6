"""Where a result comes from: versions, commit, command line, environment."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from kerascnn import __version__

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "h5py", "pillow", "tensorflow-datasets")
# Variables that change what is computed, or say which part of a job this is. Others may be secrets.
_PREFIXES = (
    "KERAS_BACKEND",
    "KERASCNN_NATIVE",
    "TF_",
    "XLA_",
    "CUDA_VISIBLE",
    "OMP_NUM",
    "SLURM_JOB_ID",
    "SLURM_PROCID",
)
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_LONGEST = 1000  # letters of a value
_SECONDS = 5  # that git may take


def provenance() -> dict[str, Any]:
    """What has to be known to do the same again, at this moment, as plain JSON values.

    Returns:
        "time" (UTC, ISO 8601), "command", "versions" by package, "commits" ("kerascnn": of the checkout
        that this package lies in; "directory": of the one that the process was started in; each with "-changed" where
        files differ from it, None where there is none), "system", "processors", and "environment": the variables that
        change what Keras and TensorFlow compute.
    """
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])[: 10 * _LONGEST],
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
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}
    return {
        name: value[:_LONGEST]
        for name, value in chosen.items()
        if not any(word in name.upper() for word in _SECRET) and value.isprintable()
    }
