"""How long an answer takes: exported networks, stock and native, against PyTorch and ONNX Runtime, as text.

    python tools/bench_latency.py --models mobilenetv2_100 resnet50 --peers-python /path/to/python --onnx /path/to/files

Subjects, each in a process of its own, in turns, so that a slow minute of the machine hits all alike:
  stock     `serving.export`: what an unmodified server runs
  native    `serving.export(native=True)`: one op, where the network can be lowered
  torch     timm's network of the same name, channels_last, eager (with --peers-python: torch and timm live there)
  compiled  the same by torch.compile
  onnx      ONNX Runtime on FOLDER/NAME.onnx (with --onnx; `torch.onnx.export` of timm's network writes such a file;
            --site names a folder that holds onnxruntime, where it is not installed)

Milliseconds are medians over calls and rounds after warm-up: with one thread of processor time, which other programs
disturb little, else of the clock. Ratios are to native in the same run.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from bench_models import processor

OURS, PEERS = ("stock", "native"), ("torch", "compiled")


def timed(step, args) -> list[float]:
    """Seconds of each of `args.steps` calls after `args.warm_up` calls that do not count."""
    clock = time.process_time if args.threads == 1 else time.perf_counter
    seconds = []
    for _ in range(args.warm_up + args.steps):
        start = clock()
        step()
        seconds.append(clock() - start)
    return seconds[args.warm_up :]


def write_exports(args, name: str, folder: pathlib.Path) -> None:
    """Exports one network both ways; the child process of subject "exports"."""
    import kerascnn

    model = kerascnn.create_model(name)
    classes = [str(i) for i in range(model.output_shape[-1])]
    for subject in OURS:
        kerascnn.serving.export(model, folder / subject, native=subject == "native", check=False, class_names=classes)


def ours(args) -> dict:
    """Times the signature "tensors" of an export."""
    import numpy as np
    import tensorflow as tf

    import kerascnn

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kerascnn.ops.build_info()  # loads the library
    loaded = tf.saved_model.load(f"{args.folder}/{args.subject}/1")
    answer = loaded.signatures["tensors"]
    shape = answer.structured_input_signature[1]["images"].shape[1:]
    images = tf.constant(np.random.default_rng(0).standard_normal((args.batch, *shape), dtype=np.float32))
    seconds = timed(lambda: answer(images=images)["probabilities"].numpy(), args)
    return {"seconds": seconds, "versions": f"TensorFlow {tf.__version__}, kerascnn {kerascnn.__version__}"}


def torch_subject(args) -> dict:
    """Times timm's network."""
    import timm
    import torch

    torch.set_num_threads(args.threads)
    model = timm.create_model(args.models[0]).eval().to(memory_format=torch.channels_last)
    images = torch.randn(args.batch, *model.default_cfg["input_size"]).to(memory_format=torch.channels_last)
    run = torch.compile(model) if args.subject == "compiled" else model
    with torch.inference_mode():
        seconds = timed(lambda: run(images), args)
    return {"seconds": seconds, "versions": f"PyTorch {torch.__version__}, timm {timm.__version__}"}


def onnx_subject(args) -> dict:
    """Times ONNX Runtime."""
    sys.path.append(args.site or "")
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(f"{args.onnx}/{args.models[0]}.onnx", options)
    given = session.get_inputs()[0]
    images = np.random.default_rng(0).standard_normal((args.batch, *given.shape[1:]), dtype=np.float32)
    seconds = timed(lambda: session.run(None, {given.name: images}), args)
    return {"seconds": seconds, "versions": f"ONNX Runtime {onnxruntime.__version__}"}


def run_child(subject: str, name: str, args, folder: str) -> dict | None:
    """Runs one subject in a fresh process and reads its JSON line; None, with a word on stderr, where it fails."""
    python = args.peers_python if subject in PEERS else sys.executable
    command = [python, __file__, "--subject", subject, "--models", name, "--folder", folder, "--batch", args.batch]
    command += ["--threads", args.threads, "--warm-up", args.warm_up, "--steps", args.steps]
    command += ["--onnx", args.onnx, "--site", args.site]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": str(args.threads)}
    if subject in PEERS and "KERASCNN_PEERS_LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["KERASCNN_PEERS_LD_LIBRARY_PATH"]
    result = subprocess.run([str(word or "") for word in command], stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode:
        print(f"{name}: {subject} failed with status {result.returncode}", file=sys.stderr, flush=True)
        return None
    return json.loads(result.stdout.splitlines()[-1])


def measured(name: str, subjects: list[str], args) -> dict[str, list[dict]]:
    """All rounds of one network."""
    rounds: dict[str, list[dict]] = {subject: [] for subject in subjects}
    with tempfile.TemporaryDirectory() as folder:
        if set(OURS) & set(subjects):
            run_child("exports", name, args, folder)
        for number in range(args.rounds):
            for subject in subjects:
                run = run_child(subject, name, args, folder)
                rounds[subject] += [run] if run else []
                print(f"{name}, round {number + 1}: {subject} done", file=sys.stderr, flush=True)
    return rounds


def report(args, results: dict[str, dict[str, list[dict]]], subjects: list[str]) -> str:
    """The table as text."""
    clock = "processor time" if args.threads == 1 else "clock"
    lines = [
        f"one answer, batch {args.batch}, default input, float32, {args.threads} threads, {clock}",
        f"{datetime.date.today()}; {processor()}; Python {platform.python_version()}",
    ]
    lines += dict.fromkeys(run["versions"] for rounds in results.values() for runs in rounds.values() for run in runs)
    lines.append(f"medians over {args.rounds} rounds of {args.steps} calls after {args.warm_up}: ms (native's share)")
    lines.append(f"{'':18}" + "".join(f"{subject:>16}" for subject in subjects))
    for name, rounds in results.items():
        medians = {
            subject: 1e3 * statistics.median([s for run in runs for s in run["seconds"]])
            for subject, runs in rounds.items()
            if runs
        }
        cells = [
            f"{medians[s]:.2f} ({medians['native'] / medians[s]:.2f})" if {s, "native"} <= set(medians) else "-"
            for s in subjects
        ]
        lines.append(f"{name:18}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mobilenetv2_100", "efficientnet_b0", "resnet50"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--skip", nargs="*", default=[], help="subjects to leave out")
    parser.add_argument("--peers-python", help="the interpreter that has torch and timm (else they are left out)")
    parser.add_argument("--onnx", help="folder of NAME.onnx (else ONNX Runtime is left out)")
    parser.add_argument("--site", help="folder that holds onnxruntime")
    parser.add_argument("--out", help="also append the table to this file")
    parser.add_argument("--subject", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.subject == "exports":
        write_exports(args, args.models[0], pathlib.Path(args.folder))
        print("{}")
        return
    if args.subject:
        run = ours if args.subject in OURS else torch_subject if args.subject in PEERS else onnx_subject
        print(json.dumps(run(args)))
        return
    subjects = [*OURS, *(PEERS if args.peers_python else ()), *(["onnx"] if args.onnx else [])]
    subjects = [subject for subject in subjects if subject not in args.skip]
    text = report(args, {name: measured(name, subjects, args) for name in args.models}, subjects)
    print(text)
    if args.out:
        with open(args.out, "a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
