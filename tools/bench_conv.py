"""Times grouped convolutions: kerascnn's kernel, tf.nn.conv2d, and PyTorch where there is one.

    python tools/bench_conv.py                                           # about 2 minutes
    python tools/bench_conv.py --torch-python peers/bin/python --out results/bench_conv.txt
    python tools/bench_conv.py --shapes rule --dtype bfloat16 --cpu-time --threads 1

Prints the median, in milliseconds, of `--repeat` runs after a warm-up, for the forward pass alone and for the forward
pass with both gradients. PyTorch (channels_last) runs in a process of its own, with the interpreter that is named.
`--cpu-time` takes processor time instead of wall time, for machines that are busy with other things.
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
from pathlib import Path

# batch, height (= width), channels in, channels out, groups, stride; always 3x3, padded to keep the size.
RESNEXT50 = [
    (8, 56, 128, 128, 32, 1),
    (8, 56, 256, 256, 32, 2),
    (8, 28, 256, 256, 32, 1),
    (8, 28, 512, 512, 32, 2),
    (8, 14, 512, 512, 32, 1),
    (8, 14, 1024, 1024, 32, 2),
    (8, 7, 1024, 1024, 32, 1),
]
# What the rule in kerascnn.ops.conv2d rests on: few to many channels per group, small and large images.
RULE = [
    (8, 28, 128, 128, 128, 1),
    (8, 28, 128, 128, 8, 1),
    (8, 28, 128, 128, 2, 1),
    (4, 14, 512, 512, 8, 1),
    (4, 14, 512, 512, 2, 1),
    (4, 14, 96, 192, 4, 1),
    (1, 56, 128, 128, 32, 1),
    (2, 32, 60, 60, 3, 1),
]
SHAPES = {"resnext50": RESNEXT50, "rule": RULE}


def timed(function, repeat: int, clock) -> float:
    """Median of `repeat` runs, in milliseconds."""
    for _ in range(3):
        function()
    times = []
    for _ in range(repeat):
        start = clock()
        function()
        times.append(1e3 * (clock() - start))
    return statistics.median(times)


def time_tensorflow(shapes, options) -> dict:
    """{"kerascnn": [[forward, both], ...], "tf.nn": ...}, and the versions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from kerascnn.ops import _native, build_info

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    dtype = tf.as_dtype(options.dtype)
    result = {"versions": f"TensorFlow {tf.__version__}, native ops built with {build_info()['compiler']}"}

    def stock(x, w, stride, groups):
        return tf.nn.conv2d(x, w, stride, "SAME")

    kernel = _native.loaded().kerascnn_conv2d  # kerascnn.ops.conv2d would choose between the two

    def ours(x, w, stride, groups):
        return kernel(x=x, filters=w, strides=(stride, stride), padding="SAME", dilations=(1, 1))

    for name, convolve in {"kerascnn": ours, "tf.nn": stock}.items():
        rows = []
        for batch, size, channels, filters, groups, stride in shapes:
            x = tf.cast(tf.random.normal((batch, size, size, channels)), dtype)
            w = tf.cast(tf.random.normal((3, 3, channels // groups, filters)), dtype)

            @tf.function(autograph=False)
            def forward(x, w, convolve=convolve, stride=stride, groups=groups):
                return convolve(x, w, stride, groups)

            @tf.function(autograph=False)
            def both(x, w, dy, forward=forward):
                with tf.GradientTape() as tape:
                    tape.watch((x, w))
                    y = forward(x, w)
                return y, tape.gradient(y, (x, w), output_gradients=dy)

            dy = tf.cast(tf.random.stateless_uniform(forward(x, w).shape, (1, 2)), dtype)
            rows.append(
                [
                    timed(lambda f=forward, a=(x, w): f(*a), options.repeat, options.clock),
                    timed(lambda f=both, a=(x, w, dy): f(*a), options.repeat, options.clock),
                ]
            )
        result[name] = rows
    return result


def time_torch(shapes, options) -> dict:
    """{"torch": [[forward, both], ...]} and the version."""
    import torch

    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    rows = []
    for batch, size, channels, filters, groups, stride in shapes:
        x = torch.randn(batch, channels, size, size).to(dtype, memory_format=torch.channels_last).requires_grad_()
        w = torch.randn(filters, channels // groups, 3, 3).to(dtype, memory_format=torch.channels_last)
        w.requires_grad_()

        def convolve(x=x, w=w, stride=stride, groups=groups):
            return torch.conv2d(x, w, None, stride, 1, 1, groups)

        dy = torch.randn_like(convolve())

        def forward(convolve=convolve):
            with torch.no_grad():
                convolve()

        def both(convolve=convolve, x=x, w=w, dy=dy):
            torch.autograd.grad(convolve(), (x, w), dy)

        rows.append([timed(forward, options.repeat, options.clock), timed(both, options.repeat, options.clock)])
    return {"versions": f"PyTorch {torch.__version__}", "torch": rows}


def processor() -> str:
    """The processor's name and number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def table(shapes, results: dict, versions: list[str], options) -> str:
    """The text that is committed."""
    columns = [name for name in ("kerascnn", "tf.nn", "torch") if name in results]
    clock = "processor" if options.cpu_time else "wall"
    width = 11 * len(columns)
    lines = [
        f"3x3 convolutions, {options.dtype}, {options.threads} threads, {clock} time in ms, median of {options.repeat}",
        f"{datetime.date.today()}; {processor()}; {'; '.join(versions)}",
        "",
        f"{'batch  size   in  out groups stride':36}{'forward':^{width}}{'forward + gradients':^{width}}".rstrip(),
        " " * 36 + "".join(f"{name:>11}" for name in columns * 2),
    ]
    for i, (batch, size, channels, filters, groups, stride) in enumerate(shapes):
        row = f"{batch:5}{size:6}{channels:5}{filters:5}{groups:7}{stride:7} "
        lines.append(row + "".join(f"{results[name][i][part]:11.2f}" for part in (0, 1) for name in columns))
    totals = "".join(f"{sum(row[part] for row in results[name]):11.2f}" for part in (0, 1) for name in columns)
    return "\n".join([*lines, f"{'sum':36}{totals}", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", choices=SHAPES, default="resnext50")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64", "bfloat16", "float16"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=21)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--torch-python", help="an interpreter that has PyTorch; its environment is inherited")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--only-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.clock = time.process_time if options.cpu_time else time.perf_counter
    shapes = SHAPES[options.shapes]
    if options.only_torch:
        print(json.dumps(time_torch(shapes, options)))
        return
    results = time_tensorflow(shapes, options)
    versions = [results.pop("versions")]
    if options.torch_python:
        arguments = [argument for argument in sys.argv[1:] if argument != "--only-torch"]
        command = [options.torch_python, __file__, *arguments, "--only-torch"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results |= json.loads(done.stdout)
        versions.append(results.pop("versions"))
    text = table(shapes, results, versions, options)
    print(text, end="")
    if options.out:
        from kerascnn._files import atomic_write

        with atomic_write(options.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
