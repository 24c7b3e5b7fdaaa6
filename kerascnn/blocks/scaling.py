"""What compound scaling multiplies, and how it rounds (Tan, Le 2019, arXiv:1905.11946, and the authors' code)."""

import dataclasses
import math
from typing import Any


def rounded(width: float) -> int:
    """The nearest multiple of 8, or the next where that would take away more than 10 %; at least 8."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def repeated(count: int, depth: float) -> int:
    """`depth` times as many blocks, rounded up."""
    return math.ceil(count * depth - 1e-9)  # 5 * 1.2 is a little more than 6 in binary


class Scalable:
    """For rows whose fields `width`, `depth` and `resolution` are two factors and a size in pixels."""

    def scaled(self, *, depth: float, width: float, resolution: float) -> Any:
        """The row with all three multiplied; see `kerascnn.applications.compound_scale`."""
        return dataclasses.replace(
            self,
            depth=self.depth * depth,
            width=self.width * width,
            resolution=round(self.resolution * resolution),
        )
