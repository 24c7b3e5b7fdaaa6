"""What is timed: ops with shapes, what they move and compute, and the ratios that the project aims at.

Imports neither TensorFlow nor anything else: `tools/bench_ops_torch.py` reads the same cases as JSON.
"""

import dataclasses
import fnmatch
import math
from collections.abc import Sequence

from kerascnn._errors import InputError

PASSES = ("forward", "both")  # both: forward, and the gradients of everything that has one
PEERS = ("tensorflow", "keras", "torch")


@dataclasses.dataclass(frozen=True)
class Case:
    """An op on one shape. Windows are square, images padded to keep ceil(size / stride)."""

    op: str  # conv2d, depthwise, deform_conv2d, gelu, layer_norm, lrn, saf_pool2d, self_attention
    x: tuple[int, int, int, int]  # batch, height, width, channels
    filters: int = 0  # channels out, of convolutions
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1  # of self_attention heads
    radius: int = 2  # of lrn
    beta: float = 0.75  # of lrn
    rate: float = 0.2  # of saf_pool2d
    targets: tuple[tuple[str, float, float], ...] = ()  # (peer, forward, both): our time over theirs, at most

    @property
    def name(self) -> str:
        """Op, shape and what differs from the defaults; unique within a set of shapes."""
        parts = [self.op, "x".join(map(str, self.x))]
        if self.filters and self.filters != self.x[3]:
            parts.append(f"to {self.filters}")
        if self.op in ("conv2d", "depthwise", "deform_conv2d") and self.kernel != 3:
            parts.append(f"{self.kernel}x{self.kernel}")
        if self.op in ("conv2d", "self_attention") and self.groups > 1:
            parts.append(f"g{self.groups}")
        if self.op != "saf_pool2d" and self.stride > 1:
            parts.append(f"s{self.stride}")
        if self.dilation > 1:
            parts.append(f"d{self.dilation}")
        if self.op == "lrn":
            parts.append(f"beta {self.beta:g}")
        return " ".join(parts)

    @property
    def y(self) -> tuple[int, int, int, int]:
        """Shape of the result."""
        if self.op in ("gelu", "layer_norm", "lrn"):
            return self.x
        batch, height, width, channels = self.x
        if self.op == "self_attention":
            return batch, height, width, channels // 3
        if self.op == "saf_pool2d":
            return batch, height // self.stride, width // self.stride, channels
        return batch, math.ceil(height / self.stride), math.ceil(width / self.stride), self.filters

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of everything that has a gradient, kerascnn's layouts."""
        taps = self.kernel**2
        shapes = {"x": self.x}
        if self.op in ("conv2d", "depthwise", "deform_conv2d"):
            shapes["filters"] = (self.kernel, self.kernel, self.x[3] // self.groups, self.filters)
        if self.op == "deform_conv2d":
            shapes |= {"offset": (*self.y[:3], 2 * taps), "mask": (*self.y[:3], taps)}
        if self.op == "layer_norm":
            shapes |= {"scale": self.x[3:], "shift": self.x[3:]}
        return shapes

    def bytes(self, which: str, item: int) -> int:
        """What must be read and written once, if caches did the rest.

        Args:
            which: "forward" (read the inputs, write the result) or "both" (and read the result's gradient and the
                inputs again, write the inputs' gradients).
            item: bytes of an element.

        Returns:
            Bytes; of SAF-pooling's state, one byte an output, too.
        """
        inputs, result = sum(map(math.prod, self.inputs.values())), math.prod(self.y)
        if which == "forward":
            return (inputs + result) * item
        if self.op == "saf_pool2d":  # the gradient needs the state instead of the images
            return (inputs + result + result + inputs) * item + 2 * result
        return (inputs + result + result + inputs + inputs) * item

    def flops(self, which: str) -> int:
        """Arithmetic, a multiply-add counting two; the gradients of an op count twice the op.

        Args:
            which: "forward" or "both".

        Returns:
            Operations: 2 a tap and pair of channels in convolutions, and 8 a sampled value where they are deformable;
            of lrn a multiply-add for each place of the window and 12 for the power; of pooling one a tap; of gelu and
            layer_norm what their kernels do, 40 and 9 a number; of attention its products.
        """
        outputs, taps = math.prod(self.y), self.kernel**2
        if self.op == "lrn":
            count = outputs * (2 * (2 * self.radius + 1) + 12)
        elif self.op in ("gelu", "layer_norm"):
            count = outputs * {"gelu": 40, "layer_norm": 9}[self.op]
        elif self.op == "self_attention":
            count = 4 * outputs * self.x[1] * self.x[2]
        elif self.op == "saf_pool2d":
            count = outputs * self.stride**2
        else:
            count = 2 * outputs * taps * (self.x[3] // self.groups)
            if self.op == "deform_conv2d":
                count += 8 * math.prod(self.y[:3]) * taps * self.x[3]
        return count * (3 if which == "both" else 1)

    def target(self, peer: str, which: str) -> float | None:
        """The ratio to a peer that is aimed at in float32 on two cores.

        Args:
            peer: one of PEERS.
            which: "forward" or "both".

        Returns:
            The ratio, or None where none is set.
        """
        return next((pair[PASSES.index(which)] for name, *pair in self.targets if name == peer), None)


def _conv(batch, size, channels, filters, groups, stride, targets=()):
    x = (batch, size, size, channels)
    return Case("conv2d", x, filters, groups=groups, stride=stride, targets=targets)


_TF, _FIRST, _OTHER = ("tensorflow", 0.4, 0.6), ("torch", 0.6, 0.7), ("torch", 0.7, 0.7)
_RESNEXT50 = (
    _conv(8, 56, 128, 128, 32, 1, (_TF, _FIRST)),
    _conv(8, 56, 256, 256, 32, 2, (_TF, _OTHER)),
    _conv(8, 28, 256, 256, 32, 1),
    _conv(8, 28, 512, 512, 32, 2),
    _conv(8, 14, 512, 512, 32, 1, (_TF, _OTHER)),
    _conv(8, 14, 1024, 1024, 32, 2),
    _conv(8, 7, 1024, 1024, 32, 1),
)
_GROUPED = (
    _conv(8, 28, 128, 128, 8, 1),
    _conv(8, 28, 128, 128, 2, 1),
    _conv(4, 14, 512, 512, 8, 1),
    _conv(4, 14, 512, 512, 2, 1),
    _conv(4, 14, 96, 192, 4, 1),
    _conv(1, 56, 128, 128, 32, 1),
    _conv(2, 32, 60, 60, 3, 1),
)
_DEPTHWISE, _DILATED, _ATROUS = ("tensorflow", 0.5, 0.5), ("tensorflow", 1.05, 1.05), ("keras", 0.5, 0.5)
_DEFORM, _LRN, _SAF = ("torch", 0.25, 0.2), ("tensorflow", 0.3, 0.15), ("keras", 0.4, 0.4)
_STANDARD = (
    _RESNEXT50[0],
    _RESNEXT50[4],
    _RESNEXT50[1],
    _GROUPED[0],
    _conv(8, 28, 512, 512, 16, 1),
    Case("depthwise", (8, 56, 56, 128), 128, groups=128, targets=(_DEPTHWISE,)),
    Case("depthwise", (8, 56, 56, 128), 128, groups=128, stride=2),
    Case("depthwise", (8, 14, 14, 512), 512, groups=512, kernel=5),
    Case("conv2d", (8, 28, 28, 256), 256, dilation=2, targets=(_DILATED,)),
    Case("conv2d", (8, 28, 28, 256), 256, dilation=4, targets=(_DILATED,)),
    Case("conv2d", (2, 33, 33, 256), 256, dilation=12, targets=(_ATROUS,)),
    Case("deform_conv2d", (8, 28, 28, 256), 256, targets=(_DEFORM,)),
    Case("deform_conv2d", (8, 14, 14, 512), 512, targets=(_DEFORM,)),
    Case("gelu", (8, 14, 14, 1536)),
    Case("layer_norm", (8, 14, 14, 384)),
    Case("layer_norm", (8, 56, 56, 96)),
    Case("lrn", (16, 55, 55, 96), targets=(_LRN,)),
    Case("lrn", (16, 55, 55, 96), beta=0.5),
    Case("lrn", (16, 55, 55, 96), beta=1.0),
    Case("lrn", (16, 55, 55, 96), beta=0.6),
    Case("saf_pool2d", (100, 32, 32, 192), kernel=2, stride=2, targets=(_SAF,)),
    Case("self_attention", (8, 14, 14, 1152), groups=6),
)
_TINY = (
    _conv(2, 6, 8, 8, 2, 1, (_TF, _FIRST)),
    Case("depthwise", (1, 5, 5, 8), 8, groups=8),
    Case("conv2d", (1, 7, 7, 4), 4, dilation=2),
    Case("deform_conv2d", (1, 4, 4, 4), 4),
    Case("gelu", (2, 3, 3, 8)),
    Case("layer_norm", (2, 3, 3, 8)),
    Case("lrn", (2, 3, 3, 8)),
    Case("saf_pool2d", (2, 4, 4, 3), kernel=2, stride=2),
    Case("self_attention", (2, 3, 3, 24), groups=2),
)
SHAPES = {"standard": _STANDARD, "resnext50": _RESNEXT50, "grouped": _GROUPED, "tiny": _TINY}


def choose(shapes: str = "standard", only: str | None = None) -> Sequence[Case]:
    """The cases of a set whose op or name fits a pattern.

    Args:
        shapes: a key of SHAPES.
        only: a shell pattern such as `lrn`, `*d12` or `conv2d*g32*`, or commas between several; None: all.

    Returns:
        At least one case.

    Raises:
        InputError: no such set, or nothing fits.
    """
    if shapes not in SHAPES:
        raise InputError(f"shapes must be one of {', '.join(SHAPES)}. Received: {shapes}")
    patterns = (only or "*").split(",")
    cases = [
        case
        for case in SHAPES[shapes]
        if any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in (case.op, case.name))
    ]
    if not cases:
        ops = ", ".join(dict.fromkeys(case.op for case in SHAPES[shapes]))
        raise InputError(f"only must fit an op ({ops}) or the name of a row. Received: {only}")
    return cases
