"""Random calls of every op through Python: `python tools/fuzz_ops.py [--cases 20000] [--ops conv2d ...] [--seed 0]`.

Each op is traced in a `tf.function` for random arguments and a dtype, with some extents of its inputs unknown, alone,
with gradients, or with second derivatives, natively and in plain TensorFlow; then it is called with random extents:
usual ones, none at all, too few, too many. A call must give what its arguments say, or end in an InputError or in
TensorFlow's InvalidArgumentError or ResourceExhaustedError. The calls run in a process of their own, so that a crash is
seen as one: it is reported with its call, and the next process resumes behind it. Exit status 1: something was found.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = 40  # of each traced function
SECONDS = 120  # for one call, after which it counts as hanging
FUNCTIONS = 50  # of a process, which keeps what it has traced
MEMORY = 16 << 30  # addresses of a process: what asks for more is told so at once
ODD = (0, -1, 2**15, 2**16, 2**16 + 1, 2**20, 2**30, 2**31 - 1, 2**31, 2**33, 2**62, 2**63 - 1, 2**64)
PADS = tuple(number for number in ODD if number not in (2**15, 2**16))  # which fit into memory and take minutes


class Draw:
    """Random numbers of one case."""

    def __init__(self, seed):
        import numpy as np

        self.rng = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, values):
        """One of `values`."""
        return values[self.whole(0, len(values) - 1)]

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.rng.random() < share

    def argument(self, low: int, high: int):
        """A whole number, now and then an odd one; or two."""
        numbers = [self.pick(ODD) if self.chance(0.04) else self.whole(low, high) for _ in range(2)]
        return numbers[0] if self.chance(0.3) else tuple(numbers)

    def padding(self):
        """Any form of padding."""
        way = self.whole(0, 3)
        if way < 2:
            return ("same", "valid")[way]
        if way == 2:
            return self.pick(PADS) if self.chance(0.1) else self.whole(0, 3)
        pads = [self.pick(PADS) if self.chance(0.05) else self.whole(0, 2) for _ in range(4)]
        return (tuple(pads[:2]), tuple(pads[2:]))

    def size(self) -> int:
        """Rows or columns of an image."""
        return self.pick((0, 1, 2, 3)) if self.chance(0.4) else self.whole(3, 12)


def length(size: int, window: int, stride: int, dilation: int, sides) -> int:
    """Outputs along an axis."""
    if sides == "same":
        return -(-size // stride)
    room = size + (0 if sides == "valid" else sum(sides)) - (window - 1) * dilation - 1
    return max(0, room // stride + 1)


def lengths(sizes, window, strides, padding, dilations=1) -> list[int]:
    """Outputs along both axes; arguments as the ops take them."""
    two = [value if isinstance(value, tuple) else (value, value) for value in (window, strides, dilations)]
    sides = [padding] * 2 if isinstance(padding, str) else [(padding, padding)] * 2
    sides = padding if isinstance(padding, tuple) else sides
    return [length(size, *axis) for size, *axis in zip(sizes, *two, sides, strict=True)]


# Each op: draw -> (function of tensors, draw -> shapes of the tensors, shapes -> shape of the result)
def conv2d(draw, depthwise=False):
    from kerascnn import ops

    groups, depth = draw.whole(1, 4), 1 if depthwise else draw.pick((1, 2, 3, 4, 8))
    kernel = (draw.whole(1, 4), draw.whole(1, 4))
    filters = [*kernel, depth, groups * draw.pick((1, 2, depth))]
    strides, padding, dilations = draw.argument(1, 3), draw.padding(), draw.argument(1, 2)
    bias, activation = draw.chance(0.4), "relu" if draw.chance(0.3) else None

    def function(x, w, *rest):
        return ops.conv2d(x, w, strides, padding, dilations, groups, *(rest or (None,)), activation=activation)

    def shapes(draw):
        x = [draw.whole(0, 3), draw.size(), draw.size(), groups * depth]
        return [x, filters] + ([filters[3:]] if bias else [])

    def result(shapes):
        return [shapes[0][0], *lengths(shapes[0][1:3], kernel, strides, padding, dilations), filters[3]]

    return function, shapes, result


def deform_conv2d(draw):
    from kerascnn import ops

    groups, depth, shared = draw.whole(1, 2), draw.whole(1, 3), draw.whole(1, 2)
    kernel, mask = (draw.whole(1, 3), draw.whole(1, 3)), draw.chance(0.5)
    filters = [*kernel, depth, groups * draw.whole(1, 2)]
    strides, padding, dilations = draw.argument(1, 2), draw.padding(), draw.argument(1, 2)

    def function(x, w, offset, *rest):
        return ops.deform_conv2d(x, w, offset, *(rest or (None,)), strides, padding, dilations, groups, shared)

    def shapes(draw):
        x = [draw.whole(0, 2), draw.size(), draw.size(), groups * depth]
        try:
            extents = lengths(x[1:3], kernel, strides, padding, dilations)
        except ZeroDivisionError:
            extents = [1, 1]
        extents = [min(max(extent, 0), 30) for extent in extents]
        count = shared * kernel[0] * kernel[1]
        return [x, filters, [x[0], *extents, 2 * count]] + ([[x[0], *extents, count]] if mask else [])

    def result(shapes):
        return [shapes[0][0], *lengths(shapes[0][1:3], kernel, strides, padding, dilations), filters[3]]

    return function, shapes, result


def local_response_normalization(draw):
    from kerascnn import ops

    radius, rank = draw.argument(0, 12), draw.whole(2, 5)
    radius = radius if isinstance(radius, int) else radius[0]
    options = (draw.pick((1.0, 2.0, 1e-30, 1e30)), draw.pick((0.0, 1e-4, 1.0)), draw.pick((0.5, 0.75, 1.0, 3.3)))
    convention = draw.pick(("sum", "mean"))
    return (
        lambda x: ops.local_response_normalization(x, radius, *options, alpha_convention=convention),
        lambda draw: [[draw.whole(0, 3) for _ in range(rank - 1)] + [draw.whole(0, 40)]],
        lambda shapes: shapes[0],
    )


def saf_pool2d(draw):
    from kerascnn import ops

    window = None if draw.chance(0.15) else draw.argument(1, 4) if draw.chance(0.9) else (17, 16)
    strides = draw.argument(1, 3) if window and draw.chance(0.7) else None
    padding = draw.pick(("same", "valid")) if window else "valid"
    training, mode = draw.chance(0.6), draw.pick(("element", "channel"))

    def function(x):
        return ops.saf_pool2d(x, window, strides, padding, 0.3, mode, seed=(1, 2), training=training)

    def result(shapes):
        batch, *sizes, channels = shapes[0]
        extents = [1, 1] if window is None else lengths(sizes, window, strides or window, padding)
        return [batch, *extents, channels]

    return function, images, result


def images(draw):
    return [[draw.whole(0, 3), draw.size(), draw.size(), draw.whole(0, 5)]]


def pooling(draw, name):
    from kerascnn import layers

    window, strides, padding = draw.argument(1, 4), draw.argument(1, 3), draw.padding()
    layer = getattr(layers, name)
    return (
        lambda x: layer(window, strides, padding, dtype=x.dtype.name)(x),
        images,
        lambda shapes: [shapes[0][0], *lengths(shapes[0][1:3], window, strides, padding), shapes[0][3]],
    )


def unfold2d(draw):
    from kerascnn import layers

    window, channels = (draw.whole(1, 3), draw.whole(1, 3)), draw.whole(1, 4)
    stride, padding = draw.whole(1, 3), draw.padding()
    return (
        lambda x: layers.Unfold2D(window, stride, padding, dtype=x.dtype.name)(x),
        lambda draw: [[draw.whole(0, 3), draw.size(), draw.size(), channels]],
        lambda shapes: [
            shapes[0][0], *lengths(shapes[0][1:3], window, stride, padding), channels * window[0] * window[1],
        ],
    )  # fmt: skip


def batch_normalization(draw):
    from kerascnn import layers

    channels, training = draw.whole(1, 5), draw.chance(0.6)
    made = {}

    def function(x):
        layer = made.setdefault(x.dtype.name, layers.BatchNormalization(dtype=x.dtype.name))
        if not layer.built:
            import tensorflow as tf

            with tf.init_scope():
                layer.build((None, None, None, channels))
        return layer(x, training=training)

    return (
        function,
        lambda draw: [[draw.whole(0, 3), draw.size(), draw.size(), channels]],
        lambda shapes: shapes[0],
    )


OPS = {
    "depthwise": lambda draw: conv2d(draw, depthwise=True),
    "max_pooling2d": lambda draw: pooling(draw, "MaxPooling2D"),
    "average_pooling2d": lambda draw: pooling(draw, "AveragePooling2D"),
}
OPS |= {
    function.__name__: function
    for function in (
        conv2d, deform_conv2d, local_response_normalization, saf_pool2d, unfold2d, batch_normalization,
    )
}  # fmt: skip
DTYPES = ("float32", "float32", "float64", "float16", "bfloat16")


def differentiated(function, order: int):
    """`function`, or its value and derivatives up to an order, with respect to all its arguments."""
    import tensorflow as tf

    if order == 0:
        return lambda *tensors: [function(*tensors)]

    def first(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*tensors)
        return [y, *tape.gradient(y, tensors, output_gradients=tf.ones_like(y), unconnected_gradients="zero")]

    def second(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y, *gradients = first(*tensors)
            total = tf.add_n([tf.reduce_sum(gradient * gradient) for gradient in gradients])
        return [y, *tape.gradient(total, tensors, unconnected_gradients="zero")]

    return first if order == 1 else second


def run_function(name: str, seed: int, index: int, first_call: int, note) -> tuple[int, int, list[str]]:
    """Traces one function and calls it; how many calls gave a result, how many were refused, and what is wrong."""
    import numpy as np
    import tensorflow as tf

    from kerascnn import ops
    from kerascnn._errors import InputError

    draw = Draw([seed, index, *name.encode()])
    function, shapes, result = OPS[name](draw)
    dtype, mode = draw.pick(DTYPES), draw.pick(("auto", "auto", "off"))
    order = draw.pick((0, 1, 1, 1, 1, 2)) if name != "deform_conv2d" or draw.chance(0.3) else draw.whole(0, 1)
    unknown = draw.pick((0.0, 0.2, 1.0))
    # The kernel's shape is known, as it is in the layers of a network; some layers must know the channels, too.
    hide = [[i != 1 and draw.chance(unknown) for _ in shape] for i, shape in enumerate(shapes(draw))]
    if name in ("unfold2d", "batch_normalization"):
        hide[0][-1] = False
    traced, given, refused, wrong = {}, 0, 0, []
    for call in range(CALLS):
        # A function of known extents is traced for each, which takes long: for a few of them.
        extents = shapes(Draw([seed, index, call if unknown else call % 4]))
        if call < first_call:
            continue
        what = f"{name} function {index} call {call}: {dtype}, {order} derivatives, mode {mode}, {extents=}, {hide=}"
        note(index, call, what)
        tensors = [tf.cast(np.random.default_rng(call).normal(size=shape), dtype) for shape in extents]
        seen = [
            [None if hidden else extent for extent, hidden in zip(shape, flags, strict=True)]
            for shape, flags in zip(extents, hide, strict=True)
        ]
        try:
            with ops.native(mode):
                if str(seen) not in traced:
                    specs = [tf.TensorSpec(shape, dtype) for shape in seen]
                    traced[str(seen)] = tf.function(
                        differentiated(function, order), input_signature=specs, autograph=False
                    )
                y, *gradients = traced[str(seen)](*tensors)
        except tf.errors.ResourceExhaustedError:
            refused += 1
            break  # TensorFlow waits ten seconds for memory, as it would for the other calls
        except (InputError, tf.errors.InvalidArgumentError) as error:
            refused += 1
            if "\n" in str(error) and isinstance(error, InputError) and "Exception encountered" not in str(error):
                wrong.append(f"{what}: more than a line: {str(error)[:200]}")
            continue
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {str(error)[:300]}")
            continue
        given += 1
        if list(y.shape) != list(result(extents)) or [list(g.shape) for g in gradients] != (extents if order else []):
            wrong.append(f"{what}: result {y.shape}, gradients {[g.shape for g in gradients]}")
    return given, refused, wrong


def work(name: str, seed: int, start: int, first_call: int, functions: int, state: str) -> None:
    """Runs functions from `start` on, and notes in a file what is being called."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import warnings

    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    record = {"given": 0, "refused": 0, "wrong": []}
    with open(state, "w") as file:

        def note(index, call, what):
            file.seek(0)
            file.write(json.dumps({**record, "index": index, "call": call, "what": what, "time": time.time()}) + "\n")
            file.truncate()
            file.flush()

        for index in range(start, functions):
            found = run_function(name, seed, index, first_call if index == start else 0, note)
            for key, more in zip(("given", "refused", "wrong"), found, strict=True):
                record[key] += more
        note(functions, 0, "")


def fuzz(name: str, cases: int, seed: int) -> dict:
    """Runs all cases of an op in processes of their own; how many gave a result, were refused, and what was wrong."""
    total, start, first_call = {"given": 0, "refused": 0, "wrong": []}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        state, log = Path(folder) / "state", Path(folder) / "log"
        while (missing := cases - total["given"] - total["refused"]) > 0:
            state.write_text("")
            end = start + min(FUNCTIONS, -(-missing // CALLS))
            words = ["--work", name, str(seed), str(start), str(first_call), str(end), str(state)]
            with log.open("w") as output:
                process = subprocess.Popen([sys.executable, __file__, *words], stdout=output, stderr=output)
                while process.poll() is None:
                    time.sleep(0.2)
                    try:
                        stuck = time.time() - json.loads(state.read_text())["time"] > SECONDS
                    except ValueError:  # not yet written, or being written
                        continue
                    if stuck:
                        process.kill()
            try:
                last = json.loads(state.read_text())
            except ValueError:
                raise SystemExit(f"fuzz_ops: no call was made:\n{log.read_text()[-2000:]}") from None
            for key in total:
                total[key] += last[key]
            if process.returncode:
                total["wrong"].append(f"{last['what']}: the process ended with {process.returncode}")
                start, first_call = last["index"], last["call"] + 1
                if first_call == CALLS:
                    start, first_call = start + 1, 0
            else:
                start, first_call = end, 0
            if len(total["wrong"]) >= 40:
                break
    return total


def main() -> int:
    """Runs what the command line says; 1 where something was found."""
    if sys.argv[1:2] == ["--work"]:
        name, *numbers, state = sys.argv[2:]
        work(name, *map(int, numbers), state)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000, help="calls of each op, at least")
    parser.add_argument("--ops", nargs="+", choices=OPS, default=list(OPS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = 0
    for name in options.ops:
        began = time.time()
        total = fuzz(name, options.cases, options.seed)
        found += len(total["wrong"])
        figures = f"{total['given']} results, {total['refused']} refused, {len(total['wrong'])} wrong"
        print(f"{name}: {figures}, {time.time() - began:.0f} s", flush=True)
        for line in total["wrong"]:
            print(f"  {line}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
