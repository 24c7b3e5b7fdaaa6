"""Checks and times the CUDA kernels on a GPU against PyTorch; TensorFlow is not needed.

    python tools/bench_gpu.py                      # about a minute; needs a GPU, torch, and kerascnn built with nvcc
    python tools/bench_gpu.py --only lrn --dtypes float32 --out results/bench_gpu.txt

For every row: the largest error against PyTorch's float64 result, relative to its largest value, and what PyTorch's own
has; the median time of `--repeat` runs in microseconds, each after the caches were overwritten; their ratio; and the
floor, that is the bytes of all arrays over the bandwidth of a large copy, measured first. The exit status is 1 where an
error is more than four times PyTorch's and above rounding.
"""

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from kerascnn import _kernels

ROUNDING = {"float64": 1e-13, "float32": 2e-5, "bfloat16": 2e-2, "float16": 3e-3}


@dataclasses.dataclass
class Case:
    """One op on one shape. Arrays are channels last; `peer` takes the inputs and returns the outputs."""

    name: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    ours: Callable  # (inputs, outputs, stream), writes the outputs
    peer: Callable
    unread: str = ""  # an input that only PyTorch asks for


def first_channels(x):
    """[N, H, W, C] as PyTorch sees it: the same memory, channels_last."""
    return x.permute(0, 3, 1, 2)


def last_channels(x):
    """Back again."""
    return x.permute(0, 2, 3, 1)


def lrn(n: int, size: int, channels: int) -> list[Case]:
    """Forward and gradient of local response normalisation with AlexNet's constants."""
    shape = (n, size, size, channels)

    def peer(x):
        return last_channels(F.local_response_norm(first_channels(x), 5, alpha=5e-4, beta=0.75, k=2.0))

    def peer_gradient(x, dy):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(peer(x), x, dy)[0]

    def ours(i, o, stream):
        _kernels.lrn_forward(i["x"], out=o["y"], stream=stream)

    def ours_gradient(i, o, stream):
        _kernels.lrn_backward(i["x"], i["dy"], out=o["dx"], stream=stream)

    name = f"lrn {n}x{size}x{size}x{channels}"
    return [
        Case(f"{name} forward", {"x": shape}, {"y": shape}, ours, peer),
        Case(f"{name} gradient", {"x": shape, "dy": shape}, {"dx": shape}, ours_gradient, peer_gradient),
    ]


def conv(n: int, size: int, channels: int, groups: int, stride: int = 1, dilation: int = 1) -> list[Case]:
    """Forward and both gradients of a 3x3 convolution that keeps the size at stride 1."""
    out, p, per_group = (size - 1) // stride + 1, dilation, channels // groups
    x, w, y = (n, size, size, channels), (3, 3, per_group, channels), (n, out, out, channels)
    window = {"strides": (stride, stride), "padding": (p, p, p, p), "dilations": (dilation, dilation)}
    theirs = {"stride": stride, "padding": p, "dilation": dilation, "groups": groups}

    def filters(w):
        return w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def backward(x, w, dy, mask):
        return torch.ops.aten.convolution_backward(
            first_channels(dy), first_channels(x), filters(w), None, [stride] * 2, [p] * 2, [dilation] * 2, False,
            [0, 0], groups, mask)  # fmt: skip

    name = f"conv {n}x{size}x{size}x{channels} g{groups} s{stride} d{dilation}"
    return [
        Case(f"{name} forward", {"x": x, "w": w}, {"y": y},
             lambda i, o, stream: _kernels.conv2d_forward(i["x"], i["w"], out=o["y"], stream=stream, **window),
             lambda x, w: last_channels(F.conv2d(first_channels(x), filters(w), **theirs))),
        Case(f"{name} input gradient", {"w": w, "dy": y, "x": x}, {"dx": x},
             lambda i, o, stream: _kernels.conv2d_input_gradient(
                 i["w"], i["dy"], out=o["dx"], stream=stream, **window),
             lambda w, dy, x: last_channels(backward(x, w, dy, [True, False, False])[0]), "x"),
        Case(f"{name} filter gradient", {"x": x, "dy": y, "w": w}, {"dw": w},
             lambda i, o, stream: _kernels.conv2d_filter_gradient(
                 i["x"], i["dy"], out=o["dw"], stream=stream, **window),
             lambda x, dy, w: backward(x, w, dy, [False, True, False])[1].permute(2, 3, 1, 0), "w"),
    ]  # fmt: skip


CASES = [
    *lrn(16, 55, 96), *lrn(64, 27, 256),
    *conv(8, 56, 128, 32), *conv(8, 14, 512, 32), *conv(8, 56, 256, 32, stride=2), *conv(8, 56, 128, 128),
    *conv(8, 28, 256, 1, dilation=2), *conv(8, 28, 256, 1, dilation=4),
]  # fmt: skip


def median_time(call: Callable, repeat: int, spoil: torch.Tensor) -> float:
    """Seconds on the GPU alone.

    `spoil` is overwritten before each run, so that nothing is in the caches, and the GPU is kept waiting until all is
    queued, so that the time Python takes is not counted.
    """
    times = []
    for run in range(repeat + 3):
        spoil.fill_(run)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(2_000_000)  # cycles, about a millisecond
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return statistics.median(times[3:])


def copy_bandwidth(spoil: torch.Tensor, repeat: int) -> float:
    """Bytes read and written per second by a copy much larger than the caches."""
    source, target = torch.empty_like(spoil), torch.empty_like(spoil)
    return 2 * spoil.nbytes / median_time(lambda: target.copy_(source), repeat, spoil)


def measure(case: Case, dtype: str, bandwidth: float, repeat: int, spoil: torch.Tensor) -> tuple[str, bool]:
    """One line of the table, and whether the result is right."""
    generator = torch.Generator("cuda").manual_seed(0)
    kind = getattr(torch, dtype)
    inputs = {name: torch.randn(shape, device="cuda", generator=generator).to(kind)
              for name, shape in case.inputs.items()}  # fmt: skip
    outputs = {name: torch.empty(shape, device="cuda", dtype=kind) for name, shape in case.outputs.items()}
    stream = torch.cuda.current_stream().cuda_stream
    case.ours(inputs, outputs, stream)
    truth = case.peer(*(value.double() for value in inputs.values()))
    largest = truth.abs().max()
    (result,) = outputs.values()
    error = ((result.double() - truth).abs().max() / largest).item()
    theirs = ((case.peer(*inputs.values()).double() - truth).abs().max() / largest).item()
    right = error <= max(4 * theirs, ROUNDING[dtype])
    mine = median_time(lambda: case.ours(inputs, outputs, stream), repeat, spoil)
    peer = median_time(lambda: case.peer(*inputs.values()), repeat, spoil)
    moved = [value.nbytes for name, value in {**inputs, **outputs}.items() if name != case.unread]
    floor = sum(moved) / bandwidth
    line = f"{case.name:44} {dtype:9} {error:9.1e} {theirs:9.1e} {1e6 * mine:9.1f} {1e6 * peer:9.1f}"
    return f"{line} {mine / peer:7.2f} {1e6 * floor:8.1f} {mine / floor:7.2f}{'' if right else '  WRONG'}", right


def main() -> int:
    """Prints the table; 1 where a result is wrong, 2 where nothing can be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="separated by commas")
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--out", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("bench_gpu: PyTorch sees no GPU", file=sys.stderr)
        return 2
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cudnn.benchmark = True
    spoil = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    bandwidth = copy_bandwidth(spoil, arguments.repeat)
    lines = [f"{torch.cuda.get_device_name()}, torch {torch.__version__}, copy {bandwidth / 1e9:.0f} GB/s", "",
             f"{'':44} {'':9} {'error':>9} {'torch':>9} {'ours us':>9} {'torch us':>9} {'ratio':>7} {'floor us':>8} "
             f"{'/floor':>7}"]  # fmt: skip
    print("\n".join(lines))
    rights = []
    for case in CASES:
        for dtype in arguments.dtypes.split(",") if arguments.only in case.name else ():
            line, right = measure(case, dtype, bandwidth, arguments.repeat, spoil)
            print(line, flush=True)
            lines.append(line)
            rights.append(right)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")
    return 0 if all(rights) else 1


if __name__ == "__main__":
    sys.exit(main())
