"""Checks and times the CUDA kernels on a GPU against PyTorch and torchvision; TensorFlow is not needed.

    python tools/bench_gpu.py                      # about two minutes; a GPU, torch, torchvision, kerascnn with CUDA
    python tools/bench_gpu.py --only lrn --dtypes float32 --out results/bench_gpu.txt
    python tools/bench_gpu.py --cpu                # no times: the kernels of the CPU on small shapes, to try this tool

For every row: the largest error against PyTorch's float64 result, relative to its largest value, and what PyTorch's own
has (of the gradients the worst); the median time of `--repeat` runs in microseconds, each after the caches were
overwritten; their ratio; the floor, that is the bytes of all arrays over the bandwidth of a large copy, measured first,
and the time as a multiple of it. float32 means float32: TF32 is off. The peer of SAF-pooling is max-pooling and
dropout; where PyTorch lacks an op in a 16-bit type, it computes in float32 as its autocast does, and its time has a
star.

Exit status: 1 where an error is more than four times PyTorch's and above rounding, 2 where nothing can be measured.
"""

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDING = {"float64": 1e-13, "float32": 2e-5, "bfloat16": 2e-2, "float16": 3e-3}


@dataclasses.dataclass(frozen=True)
class Op:
    """One op on one shape. Arrays are channels last; `peer` has PyTorch's layouts."""

    name: str
    inputs: dict[str, tuple[int, ...]]  # in the order of the peer's arguments
    y: tuple[int, ...]
    forward: Callable  # (arrays by name, y, stream), writes y
    backward: Callable  # (arrays by name, dy, gradients by name, stream), writes the gradients
    peer: Callable
    last: bool  # whether PyTorch is given channels_last
    target: str = ""  # the limit that is wanted for "ratio" or "floor"
    state: tuple[int, ...] = ()  # bytes that forward writes and backward reads instead of the inputs
    exact: "Op | None" = None  # the same without chance, to be checked

    def bytes(self, both: bool, element: int) -> int:
        """What must be read and written once, forward or in both directions, with elements of so many bytes."""
        inputs, y = (sum(map(_size, shapes)) for shapes in (self.inputs.values(), [self.y]))
        state = _size(self.state) if self.state else 0
        if not both:
            return (inputs + y) * element + state
        read_again = 0 if state else inputs
        return (inputs + y + read_again + y + inputs) * element + 2 * state


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. Times in seconds; None where nothing was timed."""

    name: str
    dtype: str
    error: float
    peer_error: float
    ours: float | None = None
    peer: float | None = None
    floor: float | None = None
    target: str = ""
    star: bool = False

    def right(self) -> bool:
        """Whether the error is one that PyTorch could have."""
        return self.error <= max(4 * self.peer_error, ROUNDING[self.dtype])  # false for NaN

    def line(self) -> str:
        """As the table shows it."""
        text = f"{self.name:52} {self.dtype:9} {self.error:9.1e} {self.peer_error:9.1e}"
        if self.ours is not None:
            ratio, multiple = self.ours / self.peer, self.ours / self.floor
            text += f" {1e6 * self.ours:9.1f} {1e6 * self.peer:9.1f}{'*' if self.star else ' '} {ratio:7.2f}"
            text += f" {1e6 * self.floor:8.1f} {multiple:7.2f}"
            if self.target:
                kind, limit = self.target.split()
                reached = {"ratio": ratio, "floor": multiple}[kind] <= float(limit)
                text += f"  {kind} <= {limit}: {'yes' if reached else 'no'}"
        return text if self.right() else text + "  WRONG"


HEAD = (
    f"{'':52} {'':9} {'error':>9} {'torch':>9} {'ours us':>9} {'torch us':>9}  {'ratio':>7} {'floor us':>8} "
    f"{'/ floor':>7}  target"
)


def conv2d(n: int, size: int, channels: int, groups: int, stride: int = 1, dilation: int = 1) -> Op:
    """A 3x3 convolution that keeps the size at stride 1; as many filters as channels."""
    from torch.nn import functional

    from kerascnn import _kernels

    out = (size - 1) // stride + 1
    window = {"strides": (stride,) * 2, "padding": (dilation,) * 4, "dilations": (dilation,) * 2}

    def backward(arrays, dy, gradients, stream):
        _kernels.conv2d_input_gradient(arrays["w"], dy, out=gradients["x"], stream=stream, **window)
        _kernels.conv2d_filter_gradient(arrays["x"], dy, out=gradients["w"], stream=stream, **window)

    return Op(
        f"conv2d {n}x{size}x{size}x{channels} g{groups} s{stride} d{dilation}",
        {"x": (n, size, size, channels), "w": (3, 3, channels // groups, channels)}, (n, out, out, channels),
        lambda arrays, y, stream: _kernels.conv2d_forward(arrays["x"], arrays["w"], out=y, stream=stream, **window),
        backward, lambda x, w: functional.conv2d(x, w, None, stride, dilation, dilation, groups), last=True,
    )  # fmt: skip


def deform_conv2d(n: int, size: int, channels: int) -> Op:
    """A modulated 3x3 deformable convolution; as many filters as channels."""
    from torchvision.ops import deform_conv2d as peer

    from kerascnn import _kernels

    image = (n, size, size, channels)
    inputs = {"x": image, "offset": (n, size, size, 18), "w": (3, 3, channels, channels), "mask": (n, size, size, 9)}

    def forward(arrays, y, stream):
        x, offset, w, mask = arrays.values()
        _kernels.deform_conv2d_forward_into(x, w, offset, mask, out=y, padding=(1,) * 4, stream=stream)

    def backward(arrays, dy, gradients, stream):
        x, offset, w, mask = arrays.values()
        results = (gradients[name] for name in ("x", "w", "offset", "mask"))
        _kernels.deform_conv2d_gradient_into(x, w, offset, mask, dy, *results, padding=(1,) * 4, stream=stream)

    return Op(f"deform_conv2d {n}x{size}x{size}x{channels}", inputs, image, forward, backward,
              lambda x, offset, w, mask: peer(x, offset, w, None, 1, 1, 1, mask), last=False,
              target="ratio 0.5")  # fmt: skip


def lrn(n: int, size: int, channels: int) -> Op:
    """Local response normalization over five channels with AlexNet's constants."""
    from torch.nn import functional

    from kerascnn import _kernels

    image = (n, size, size, channels)
    return Op(
        f"lrn {n}x{size}x{size}x{channels}", {"x": image}, image,
        lambda arrays, y, stream: _kernels.lrn_forward(arrays["x"], out=y, stream=stream),
        lambda arrays, dy, gradients, stream: _kernels.lrn_gradient(arrays["x"], dy, out=gradients["x"], stream=stream),
        lambda x: functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0), last=False, target="floor 1.3",
    )  # fmt: skip


def saf_pool2d(n: int, size: int, channels: int, rate: float = 0.2) -> Op:
    """2x2 SAF-pooling; at rate 0 it is max-pooling."""
    from torch.nn import functional

    from kerascnn import _kernels

    y = (n, size // 2, size // 2, channels)

    def forward(arrays, y, stream):
        _kernels.saf_pool2d_forward_into(arrays["x"], (1, 2), out=y, state=arrays["state"], rate=rate, stream=stream)

    def backward(arrays, dy, gradients, stream):
        _kernels.saf_pool2d_gradient_into(arrays["state"], dy, out=gradients["x"], rate=rate, stream=stream)

    return Op(
        f"saf_pool2d {n}x{size}x{size}x{channels}", {"x": (n, size, size, channels)}, y, forward, backward,
        lambda x: functional.dropout(functional.max_pool2d(x, 2), rate, training=rate > 0), last=True,
        target="floor 1.3", state=y, exact=saf_pool2d(n, size, channels, 0.0) if rate else None,
    )  # fmt: skip


def ops(small: bool) -> list[Op]:
    """The rows of the table, or small forms of them."""
    if small:
        return [conv2d(2, 7, 16, 4, stride=2), conv2d(1, 6, 8, 8), conv2d(1, 7, 8, 1, dilation=2),
                deform_conv2d(2, 5, 8), lrn(2, 3, 12), saf_pool2d(2, 6, 8)]  # fmt: skip
    return [
        conv2d(8, 56, 128, 32), conv2d(8, 14, 512, 32), conv2d(8, 56, 256, 32, stride=2), conv2d(8, 56, 128, 128),
        conv2d(8, 28, 256, 1, dilation=2), deform_conv2d(16, 56, 256), deform_conv2d(16, 28, 512),
        lrn(16, 55, 96), saf_pool2d(100, 32, 192),
    ]  # fmt: skip


class Bench:
    """A device with what is measured of it once."""

    def __init__(self, device: str, repeat: int):
        import torch

        self.torch, self.device, self.repeat = torch, device, repeat
        self.stream, self.bandwidth = 0, None
        if device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.benchmark = True
            self.stream = torch.cuda.current_stream().cuda_stream
            self.spoil = torch.empty(256 << 20, dtype=torch.uint8, device=device)
            source, target = torch.empty_like(self.spoil), torch.empty_like(self.spoil)
            self.bandwidth = 2 * source.nbytes / self.time(lambda: target.copy_(source))

    def time(self, call: Callable) -> float:
        """Seconds on the GPU alone, the median.

        Caches are overwritten before each run, and the GPU is kept waiting until all is queued, so that the time that
        Python and the driver take is not counted.
        """
        times = []
        for run in range(self.repeat + 3):
            self.spoil.fill_(run % 7)
            start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.torch.cuda._sleep(20_000_000)  # cycles, about ten milliseconds
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        return statistics.median(times[3:])

    def arrays(self, op: Op, dtype: str) -> dict:
        """Inputs, dy and state of an op."""
        torch, made = self.torch, {}
        generator = torch.Generator(self.device).manual_seed(0)
        for name, shape in {**op.inputs, "dy": op.y}.items():
            values = torch.randn(shape, generator=generator, device=self.device)
            if name == "offset":  # away from whole coordinates, where the slopes have kinks
                values = (values * 8).round() / 8 + 1 / 16
            made[name] = values.to(getattr(torch, dtype))
        if op.state:
            made["state"] = torch.empty(op.state, dtype=torch.uint8, device=self.device)
        return made

    def ours(self, op: Op, arrays: dict) -> tuple[Callable, Callable, dict]:
        """Calls that run forward, and both; and what they write: y, and the gradients by name."""
        inputs = {name: array for name, array in arrays.items() if name != "dy"}
        results = {name: self.torch.empty_like(arrays[name]) for name in op.inputs}
        y, dy = self.torch.empty_like(arrays["dy"]), arrays["dy"]

        def both():
            op.forward(inputs, y, self.stream)
            op.backward(inputs, dy, results, self.stream)

        return lambda: op.forward(inputs, y, self.stream), both, {"y": y, **results}

    def peer(self, op: Op, arrays: dict, wide: bool = False) -> tuple[Callable, Callable, Callable]:
        """Calls of PyTorch's forward, and of both; and one that returns what `ours` does, in our layouts.

        `wide`: computed in float32, as autocast does.
        """
        torch = self.torch
        order = torch.channels_last if op.last else torch.contiguous_format

        def theirs(name, array):
            return array.permute(3, 2, 0, 1) if name == "w" else array.permute(0, 3, 1, 2)

        def back(name, array):
            return array.permute(2, 3, 1, 0) if name == "w" else array.permute(0, 2, 3, 1)

        inputs = [theirs(name, arrays[name]).contiguous(memory_format=order).requires_grad_() for name in op.inputs]
        dy = theirs("dy", arrays["dy"]).contiguous(memory_format=order)

        def call():
            return op.peer(*(tensor.float() for tensor in inputs)).to(dy.dtype) if wide else op.peer(*inputs)

        def forward():
            with torch.no_grad():
                return call()

        def both():
            return torch.autograd.grad(call(), inputs, dy)

        def results():
            gradients = zip(op.inputs, both(), strict=True)
            return {"y": back("y", forward()), **{name: back(name, array) for name, array in gradients}}

        return forward, both, results

    def measure(self, op: Op, dtype: str) -> list[Row]:
        """Two rows: forward, and forward and backward."""
        exact = op.exact or op
        arrays = self.arrays(exact, dtype)
        _, both, ours = self.ours(exact, arrays)
        both()
        truth = self.peer(exact, {name: array.double() for name, array in arrays.items() if name != "state"})[2]()
        wide = False
        try:
            others = self.peer(exact, arrays)[2]()
        except RuntimeError:  # not implemented in this type
            wide = True
            others = self.peer(exact, arrays, wide)[2]()
        errors = {}
        for name, wanted in truth.items():
            scale = wanted.abs().max()
            errors[name] = [((a[name].double() - wanted).abs().max() / scale).item() for a in (ours, others)]
        worst = max((errors[name] for name in op.inputs), key=lambda pair: pair[0] / max(pair[1], ROUNDING[dtype]))
        times = [(None, None, None)] * 2
        if self.bandwidth:
            mine, theirs = self.ours(op, arrays)[:2], self.peer(op, arrays, wide)[:2]
            element = arrays["dy"].element_size()
            floors = [op.bytes(both, element) / self.bandwidth for both in (False, True)]
            times = [(self.time(a), self.time(b), floor) for a, b, floor in zip(mine, theirs, floors, strict=True)]
        return [
            Row(f"{op.name} {which}", dtype, *pair, *measured, op.target, wide)
            for which, pair, measured in zip(("forward", "both"), (errors["y"], worst), times, strict=True)
        ]


def no_gpu() -> str:
    """What keeps this from measuring, in words, "" if nothing."""
    try:
        import torch
    except ImportError:
        return f"no GPU can be used, because {sys.executable} has no torch"
    if not torch.cuda.is_available():
        return f"no GPU was found: torch {torch.__version__} sees none"
    from kerascnn import _kernels

    x = torch.zeros((1, 8), device="cuda")
    try:
        _kernels.lrn_forward(x, out=torch.empty_like(x), stream=torch.cuda.current_stream().cuda_stream)
    except (ValueError, RuntimeError) as error:
        return f"the kernels cannot run on the GPU: {error}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Prints the table as it is measured; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="separated by commas: " + ", ".join(ROUNDING))
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--cpu", action="store_true", help="check small shapes on the CPU, without times")
    parser.add_argument("--out", type=Path, help="also write the table there")
    chosen = parser.parse_args(arguments)
    dtypes = chosen.dtypes.split(",")
    if unknown := [dtype for dtype in dtypes if dtype not in ROUNDING]:
        parser.error(f"--dtypes must be among {', '.join(ROUNDING)}. Received: {', '.join(unknown)}")
    if chosen.repeat < 1:
        parser.error(f"--repeat must be at least 1. Received: {chosen.repeat}")
    if not chosen.cpu and (problem := no_gpu()):
        print(f"bench_gpu: {problem}", file=sys.stderr)
        return 2
    bench = Bench("cpu" if chosen.cpu else "cuda", chosen.repeat)
    head = f"torch {bench.torch.__version__}, "
    if bench.bandwidth:
        head = f"{bench.torch.cuda.get_device_name()}, {head}copy {bench.bandwidth / 1e9:.0f} GB/s"
    else:
        head += "small shapes on the CPU"
    lines, right = [head, "", HEAD], True
    print("\n".join(lines))
    for op in ops(small=chosen.cpu):
        for dtype in dtypes if chosen.only in op.name else ():
            for row in bench.measure(op, dtype):
                print(row.line(), flush=True)
                lines.append(row.line())
                right &= row.right()
    if chosen.out:
        chosen.out.write_text("\n".join(lines) + "\n")
    return 0 if right else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
