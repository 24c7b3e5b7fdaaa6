"""Times depthwise convolutions: kerascnn's kernel, two of TensorFlow's, and PyTorch's where there is one.

    python tools/bench_depthwise.py                                           # about 1 minute
    python tools/bench_depthwise.py --torch-python peers/bin/python --out results/bench_depthwise.txt

Prints the median, in milliseconds, of `--repeat` runs after a warm-up, for the forward pass alone and for the forward
pass with both gradients. A run is one call of a graph that computes the convolution 4 times in a row, divided by 4: a
graph's own start takes as long as the smaller ones. The last column adds 1 to x the same way: what reading and writing
that much takes. PyTorch (channels_last) runs in a process of its own, with the interpreter that is named.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench_conv import processor, timed

# batch, height (= width), channels, taps (= in both directions), stride, dilation; padded to keep the size.
SHAPES = [
    (8, 56, 128, 3, 1, 1),
    (8, 112, 32, 3, 1, 1),
    (8, 56, 144, 3, 2, 1),
    (8, 28, 192, 5, 1, 1),
    (8, 14, 576, 3, 1, 1),
    (8, 7, 960, 3, 1, 1),
    (8, 28, 128, 3, 1, 2),
    (8, 28, 128, 7, 1, 1),
    (8, 28, 240, 5, 2, 1),
]
TIMES = 4


def time_tensorflow(options) -> dict:
    """{"kerascnn": [[forward, both], ...], "depthwise": ..., "conv2d": ..., "copy": ...}, and the versions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from kerascnn.ops import _native, build_info

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # it would compute the same once
    kernel = _native.loaded().kerascnn_conv2d  # kerascnn.ops.conv2d would choose between them
    dtype = tf.as_dtype(options.dtype)
    versions = f"TensorFlow {tf.__version__}, native ops built with {build_info()['compiler']}"

    def ours(x, w, stride, dilation):
        return kernel(x=x, filters=w, strides=[stride] * 2, padding="SAME", dilations=[dilation] * 2)

    def depthwise(x, w, stride, dilation):
        taps = tf.reshape(w, (*w.shape[:2], w.shape[3], 1))
        return tf.nn.depthwise_conv2d(x, taps, (1, stride, stride, 1), "SAME", dilations=(dilation, dilation))

    def grouped(x, w, stride, dilation):
        return tf.nn.conv2d(x, w, stride, "SAME", dilations=dilation)

    def in_a_row(function):
        def several(*tensors):
            before = []
            for _ in range(TIMES):
                with tf.control_dependencies(before):
                    before = [tf.reshape(tensor, [-1])[0] for tensor in function(*tensors)]
            return before

        return tf.function(several, autograph=False)

    def measured(function, *tensors) -> float:
        compiled = in_a_row(function)
        return timed(lambda: compiled(*tensors), options.repeat, time.perf_counter) / TIMES

    result = {"versions": versions, "copy": []}
    for name, convolve in {"kerascnn": ours, "depthwise": depthwise, "conv2d": grouped}.items():
        result[name] = []
        for batch, size, channels, taps, stride, dilation in SHAPES:
            x = tf.cast(tf.random.normal((batch, size, size, channels)), dtype)
            w = tf.cast(tf.random.normal((taps, taps, 1, channels)), dtype)

            def forward(x, w, convolve=convolve, stride=stride, dilation=dilation):
                return (convolve(x, w, stride, dilation),)

            def both(x, w, dy, forward=forward):
                with tf.GradientTape() as tape:
                    tape.watch((x, w))
                    (y,) = forward(x, w)
                return (y, *tape.gradient(y, (x, w), output_gradients=dy))

            dy = tf.cast(tf.random.stateless_uniform(forward(x, w)[0].shape, (1, 2)), dtype)
            result[name].append([measured(forward, x, w), measured(both, x, w, dy)])
            if name == "kerascnn":
                result["copy"].append([measured(lambda x: (x + 1,), x)])
    return result


def time_torch(options) -> dict:
    """{"torch": [[forward, both], ...]} and the version."""
    import torch

    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    rows = []
    for batch, size, channels, taps, stride, dilation in SHAPES:
        x = torch.randn(batch, channels, size, size).to(dtype, memory_format=torch.channels_last).requires_grad_()
        w = torch.randn(channels, 1, taps, taps).to(dtype).requires_grad_()

        def convolve(x=x, w=w, stride=stride, taps=taps, dilation=dilation, channels=channels):
            return torch.conv2d(x, w, None, stride, (taps - 1) * dilation // 2, dilation, channels)

        dy = torch.randn_like(convolve())

        def forward(convolve=convolve):
            with torch.no_grad():
                for _ in range(TIMES):
                    convolve()

        def both(convolve=convolve, x=x, w=w, dy=dy):
            for _ in range(TIMES):
                torch.autograd.grad(convolve(), (x, w), dy)

        rows.append([timed(f, options.repeat, time.perf_counter) / TIMES for f in (forward, both)])
    return {"versions": f"PyTorch {torch.__version__}", "torch": rows}


def table(results: dict, versions: list[str], options) -> str:
    """The text that is committed."""
    columns = [name for name in ("kerascnn", "depthwise", "conv2d", "torch") if name in results]
    width = 11 * len(columns)
    lines = [
        f"Depthwise convolutions, {options.dtype}, {options.threads} threads, ms, median of {options.repeat}",
        f"{datetime.date.today()}; {processor()}; {'; '.join(versions)}",
        "depthwise: tf.nn.depthwise_conv2d; conv2d: tf.nn.conv2d; copy: x + 1 in TensorFlow",
        "",
        f"{'batch  size channels taps stride dilation':42}{'forward':^{width}}{'and gradients':^{width}}".rstrip(),
        " " * 42 + "".join(f"{name:>11}" for name in (*columns, *columns, "copy")),
    ]
    for i, (batch, size, channels, taps, stride, dilation) in enumerate(SHAPES):
        row = f"{batch:5}{size:6}{channels:9}{taps:5}{stride:7}{dilation:9} "
        row += "".join(f"{results[name][i][part]:11.2f}" for part in (0, 1) for name in columns)
        lines.append(row + f"{results['copy'][i][0]:11.2f}")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64", "bfloat16", "float16"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--torch-python", help="an interpreter that has PyTorch; its environment is inherited")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--only-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_torch:
        print(json.dumps(time_torch(options)))
        return
    results = time_tensorflow(options)
    versions = [results.pop("versions")]
    if options.torch_python:
        command = [options.torch_python, __file__, *sys.argv[1:], "--only-torch"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results |= json.loads(done.stdout)
        versions.append(results.pop("versions"))
    text = table(results, versions, options)
    print(text, end="")
    if options.out:
        from kerascnn._files import atomic_write

        with atomic_write(options.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
