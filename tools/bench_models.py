"""Whole networks against their peers in one run: a training step and a forward pass, as text.

    python tools/bench_models.py --peers-python /path/to/python --out results/bench_models.txt

Subjects, each in a process of its own, in turns, so that a slow minute of the machine hits all alike:
  kerascnn  the network as built by kerascnn.create_model
  keras     the same graph, every kerascnn.layers.Conv2D replaced by keras.layers.Conv2D (ZeroPadding2D before it where
            the padding is explicit)
  served    kerascnn's network as `kerascnn export` serves it: batch norms folded into the convolutions; forward only
  torch     timm's network of the same name, channels_last, eager (with --peers-python: torch and timm live there)

A training step is forward, softmax cross-entropy, backward and an SGD update with momentum, on one fixed batch. Figures
are medians over steps and rounds after warm-up; ratios are to kerascnn in the same run.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

SUBJECTS = ("kerascnn", "served", "keras", "torch")


def timed(step, warm_up: int, steps: int) -> list[float]:
    """Seconds of each of `steps` calls after `warm_up` calls that do not count."""
    seconds = []
    for _ in range(warm_up + steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds[warm_up:]


def with_keras_convolutions(model):
    """A clone of the graph in which Keras' own Conv2D does every convolution."""
    import keras

    import kerascnn

    def replace(layer):
        config = layer.get_config()
        if not isinstance(layer, kerascnn.layers.Conv2D):
            return type(layer).from_config(config)
        if isinstance(config["padding"], str):
            return keras.layers.Conv2D.from_config(config)
        padding, name = config.pop("padding"), config.pop("name")
        if isinstance(padding, int):
            padding = ((padding, padding), (padding, padding))
        convolution = keras.layers.Conv2D.from_config({**config, "padding": "valid", "name": "conv"})
        return keras.Sequential([keras.layers.ZeroPadding2D(padding, name="pad"), convolution], name=name)

    return keras.models.clone_model(model, clone_function=replace)


def keras_subject(args) -> dict:
    """Times kerascnn's network, or its clone on Keras' convolutions, in this process."""
    import keras
    import numpy as np
    import tensorflow as tf

    import kerascnn

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    model = kerascnn.create_model(args.model, classifier_activation=None)
    if args.subject == "keras":
        model = with_keras_convolutions(model)
    if args.subject == "served":
        model, _ = kerascnn.surgery.fold_batch_norm(model)
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    rng = np.random.default_rng(0)
    images = rng.standard_normal((args.batch, *model.input_shape[1:]), dtype=np.float32)
    labels = rng.integers(0, 1000, args.batch)
    train = []
    if args.subject != "served":
        train = timed(lambda: model.train_on_batch(images, labels), args.warm_up, args.steps)
    predict = timed(lambda: model.predict_on_batch(images), args.warm_up, args.steps)
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, kerascnn {kerascnn.__version__}"
    return {"train": train, "predict": predict, "versions": versions, "parameters": model.count_params()}


def torch_subject(args) -> dict:
    """Times timm's network, channels_last and eager, in this process."""
    import timm
    import torch

    torch.set_num_threads(args.threads)
    model = timm.create_model(args.model).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()
    size = model.default_cfg["input_size"]
    torch.manual_seed(0)
    images = torch.randn(args.batch, *size).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (args.batch,))

    def train():
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    def predict():
        with torch.inference_mode():
            model(images)

    model.train()
    trained = timed(train, args.warm_up, args.steps)
    model.eval()
    predicted = timed(predict, args.warm_up, args.steps)
    versions = f"PyTorch {torch.__version__}, timm {timm.__version__}"
    parameters = sum(p.numel() for p in model.parameters())
    return {"train": trained, "predict": predicted, "versions": versions, "parameters": parameters}


def run_child(subject: str, args) -> dict:
    """Runs one subject in a fresh process and reads its JSON line."""
    python = args.peers_python if subject == "torch" else sys.executable
    # One step of Keras' grouped convolution takes a minute; its spread is small beside its distance from the others.
    warm_up, steps = (1, 2) if subject == "keras" else (args.warm_up, args.steps)
    command = [python, __file__, "--subject", subject, "--model", args.model]
    command += ["--batch", args.batch, "--threads", args.threads, "--warm-up", warm_up, "--steps", steps]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": str(args.threads)}
    if subject == "torch" and "KERASCNN_PEERS_LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["KERASCNN_PEERS_LD_LIBRARY_PATH"]
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode:
        raise SystemExit(f"{subject} failed with status {result.returncode}")
    return json.loads(result.stdout.splitlines()[-1])


def processor() -> str:
    """The processor's name and core count."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def report(args, rounds: dict[str, list[dict]]) -> str:
    """The table as text."""
    lines = [
        f"{args.model}, batch {args.batch}, default input, float32, {args.threads} threads",
        f"{datetime.date.today()}; {processor()}; Python {platform.python_version()}",
    ]
    lines += dict.fromkeys(runs[0]["versions"] for runs in rounds.values())
    lines.append(f"medians over {args.rounds} rounds of {args.steps} steps after {args.warm_up} (keras: 1 round of 2)")
    lines.append(f"{'':10} {'step ms':>10} {'ratio':>8} {'forward ms':>12} {'ratio':>8}")
    for subject, runs in rounds.items():
        cells = []
        for kind in ("train", "predict"):
            median, ours = (
                1e3 * statistics.median([s for run in of for s in run[kind]]) if of[0][kind] else None
                for of in (runs, rounds["kerascnn"])
            )
            cells += ["-", "-"] if median is None else [f"{median:.0f}", f"{median / ours:.2f}"]
        lines.append("{:10} {:>10} {:>8} {:>12} {:>8}".format(subject, *cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnext50_32x4d", help="a name that kerascnn and timm share")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--skip", nargs="*", default=[], choices=SUBJECTS, help="subjects to leave out")
    parser.add_argument("--peers-python", help="the interpreter that has torch and timm (else torch is left out)")
    parser.add_argument("--out", help="also append the table to this file")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.subject:
        print(json.dumps(torch_subject(args) if args.subject == "torch" else keras_subject(args)))
        return
    subjects = [s for s in SUBJECTS if s not in args.skip and (s != "torch" or args.peers_python)]
    rounds: dict[str, list[dict]] = {subject: [] for subject in subjects}
    for number in range(args.rounds):
        for subject in subjects:
            if subject != "keras" or number == 0:
                rounds[subject].append(run_child(subject, args))
                print(f"round {number + 1}: {subject} done", file=sys.stderr, flush=True)
    text = report(args, rounds)
    print(text)
    if args.out:
        with open(args.out, "a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
