"""The side of PyTorch and torchvision in `kerascnn benchmark ops`; runs in an interpreter that has them.

    kerascnn benchmark ops --peers-python /path/to/python       # starts this file

Reads one case a line from standard input as JSON (kerascnn/benchmark/cases.py), answers with seconds. Layouts are those
that PyTorch is fastest with: channels_last for convolutions and pooling, contiguous where only that is supported.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.append(str(Path(__file__).resolve().parents[1] / "kerascnn" / "benchmark"))  # this one file, not the package

import answering  # noqa: E402


def tensors(case: dict, y: list[int], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inputs of a case in PyTorch's layouts, channels before places."""
    batch, height, width, channels = case["x"]
    taps = case["kernel"] ** 2
    last = torch.contiguous_format if case["op"] in ("lrn", "deform_conv2d") else torch.channels_last
    shapes = {"x": (batch, channels, height, width)}
    if case["op"] in ("gelu", "layer_norm", "self_attention"):  # of tokens, as transformers have them
        last, shapes = torch.contiguous_format, {"x": (batch, height * width, channels)}
    if case["op"] == "layer_norm":
        shapes |= {"scale": (channels,), "shift": (channels,)}
    if case["op"] in ("conv2d", "depthwise", "deform_conv2d"):
        shapes["w"] = (case["filters"], channels // case["groups"], case["kernel"], case["kernel"])
    if case["op"] == "deform_conv2d":
        shapes |= {"offset": (batch, 2 * taps, *y[1:3]), "mask": (batch, taps, *y[1:3])}
    scales = {"x": 1.0, "w": 0.05, "offset": 1.0, "mask": 0.5, "scale": 1.0, "shift": 1.0}
    made = {name: (scales[name] * torch.randn(shape)).to(dtype) for name, shape in shapes.items()}
    made = {name: value.contiguous(memory_format=last) if value.dim() == 4 else value for name, value in made.items()}
    return {name: value.requires_grad_() for name, value in made.items()}


def function(case: dict):
    """The op as a function of `tensors`."""
    pad = case["dilation"] * (case["kernel"] - 1) // 2
    window = (case["stride"], pad, case["dilation"])
    if case["op"] in ("conv2d", "depthwise"):
        return lambda x, w: F.conv2d(x, w, None, *window, case["groups"])
    if case["op"] == "deform_conv2d":
        from torchvision.ops import deform_conv2d

        return lambda x, w, offset, mask: deform_conv2d(x, offset, w, None, *window, mask)
    if case["op"] == "gelu":
        return F.gelu
    if case["op"] == "layer_norm":
        return lambda x, scale, shift: F.layer_norm(x, (case["x"][3],), scale, shift, 1e-6)
    if case["op"] == "self_attention":

        def attention(x):
            parts = x.unflatten(2, (3, case["groups"], -1)).permute(2, 0, 3, 1, 4)
            return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

        return attention
    if case["op"] == "lrn":
        size = 2 * case["radius"] + 1  # PyTorch divides alpha by it
        return lambda x: F.local_response_norm(x, size, 1e-4 * size, case["beta"], 2.0)
    return lambda x: F.dropout(F.max_pool2d(x, case["kernel"], case["stride"]), case["rate"], training=True)


def prepare(case: dict, y: list[int], which: str, dtype: torch.dtype):
    """A call without arguments to be timed."""
    inputs, call = list(tensors(case, y, dtype).values()), function(case)
    with torch.no_grad():
        dy = torch.ones_like(call(*inputs))

    def forward():
        with torch.no_grad():
            call(*inputs)

    return forward if which == "forward" else lambda: torch.autograd.grad(call(*inputs), inputs, dy)


def timed(call, runs: int, limit: float, copies: int, fast: float) -> list[float]:
    """Seconds of `runs` calls; fewer where they take longer than `limit`. A call that takes less than `fast` is timed
    `copies` at a time."""
    start = time.perf_counter()
    call()
    copies = copies if time.perf_counter() - start < fast else 1

    def several():
        for _ in range(copies):
            call()

    seconds = answering.timed(several, runs, limit, copies)
    time.sleep(0.2)  # until this process' threads sleep: they turn for a while after their work
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    versions = f"PyTorch {torch.__version__}"
    try:
        import torchvision

        versions += f", torchvision {torchvision.__version__}"
    except ImportError as error:
        versions += f" without torchvision ({error})"
    print(json.dumps({"versions": versions}), flush=True)
    known, call = None, None
    for line in sys.stdin:
        question = json.loads(line)
        case, y, which = question["case"], question["y"], question["which"]
        try:
            if known != (case, which):
                known, call = (case, which), prepare(case, y, which, getattr(torch, options.dtype))
                call()
            answer = {"seconds": timed(call, *(question[name] for name in ("runs", "limit", "copies", "fast")))}
        except (ImportError, RuntimeError, NotImplementedError) as error:  # an op or a dtype that is not there
            known, answer = None, {"refused": str(error).splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
