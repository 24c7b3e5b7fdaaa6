"""Command lines and run folders that nobody would write on purpose, and a process that runs many of them.

python odd_lines.py LINES.json RESULTS.json runs each line in this one process, in bounded memory, and records how it
ended. Imported, it makes the lines.
"""

import copy
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback

MEMORY = 2 * 2**30  # bytes that the lines may take beyond what TensorFlow has taken when it is loaded
DEEP = "[" * 200_000
ODD = {
    "empty": "",
    "huge": "1" + "0" * 30,
    "long": "9" * 5000,
    "negative": "-1",
    "below 64 bits": str(-(2**63) - 1),
    "not a number": "nan",
    "infinite": "-inf",
    "beyond double": "1e400",
    "NUL": "a\0b",
    "markup": "[/b]:cat:",
    "not UTF-8": "o\udcff",
    "text": "many words, and commas",
}
OTHER = {
    "null": None,
    "true": True,
    "negative": -1,
    "huge": 10**30,
    "not a number": float("nan"),
    "text": "[/b]",
    "list": [[], {}],
    "object": {"a": {}},
}


def lines_of(command, base):
    """Every flag of a command with every odd value.

    Args:
        command: the `Command`.
        base: words that make a line whose other flags are sound, and which ends early: its data are not there.

    Returns:
        Label -> words.
    """
    lines = {}
    for flag in command.flags:
        rest = [word for word in base if not word.startswith(f"--{flag.name}=")]
        for label, value in ODD.items():
            lines[f"{command.name} --{flag.name} {label}"] = [command.name, *rest, f"--{flag.name}={value}"]
        if flag.kind is bool:
            lines[f"{command.name} --no{flag.name}=1"] = [command.name, *rest, f"--no{flag.name}=1"]
        else:
            lines[f"{command.name} --{flag.name} alone"] = [command.name, *rest, f"--{flag.name}"]
    for label, value in ODD.items():
        lines[f"{command.name} word {label}"] = [command.name, *base, "--", value, value]
    return lines


def damaged(record, path=()):
    """A JSON object with one value missing or of another kind, once for each: (label, record)."""
    inner = record
    for name in path:
        inner = inner[name]
    for name, value in inner.items() if isinstance(inner, dict) else enumerate(inner[:1]):
        where = ".".join(map(str, (*path, name)))
        kinds = {"missing": None, **OTHER}
        if path and path[0] == "training":  # one check reads them all
            kinds = {label: kinds[label] for label in ("missing", "null", "text")}
        for label, other in kinds.items():
            changed = copy.deepcopy(record)
            target = changed
            for step in path:
                target = target[step]
            if label == "missing":
                del target[name]
            else:
                target[name] = other
            yield f"{where} {label}", changed
        if isinstance(value, dict | list) and value:
            yield from damaged(record, (*path, name))


def broken(text):
    """A text file that is broken as a whole: (label, bytes)."""
    whole = text.encode()
    yield "empty", b""
    yield "truncated", whole[: len(whole) // 2]
    yield "NUL bytes", b"\0" * 100
    yield "not UTF-8", whole[:20] + b"\xff\xfe" + whole[20:]
    yield "UTF-16", text.encode("utf-16")
    yield "nested deep", DEEP.encode()
    yield "one long line", b"x" * 1_000_000


def run_all(lines):
    """Runs lines one after another: [{"status", "out", "err", "raised", "seconds", "memory"}]."""
    from kerascnn.cli.loading import load_tensorflow
    from kerascnn.cli.main import run

    load_tensorflow()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns that so many models in one process are traced anew
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))
    results = []
    for line in lines:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            kept = os.dup(1), os.dup(2)
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            start, raised, status = time.monotonic(), "", None
            try:
                status = run(line)
            except BaseException:
                raised = traceback.format_exc()
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
            os.close(kept[0]), os.close(kept[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        results.append({"status": status, "out": texts[0], "err": texts[1], "raised": raised,
                        "seconds": time.monotonic() - start, "memory": memory})  # fmt: skip
    return results


def copy_run(run, folder):
    """A run folder to be damaged, without the large files that are only read."""
    folder.mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for file in run.iterdir():
        if file.name == "best.keras":
            os.link(file, folder / file.name)
        elif file.is_file():
            shutil.copy(file, folder / file.name)
    for file in (run / "checkpoints").iterdir():
        os.link(file, folder / "checkpoints" / file.name)
    return folder


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    answers = run_all(asked)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answers, file)
