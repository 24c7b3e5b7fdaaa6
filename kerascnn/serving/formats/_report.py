"""What a check of an export found, for people and for check.json."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What `check` found; the differences are the largest absolute ones per signature."""

    path: str
    requests: int  # replayed, over both signatures
    reference: str  # what the numbers were compared with
    fresh_process: dict[str, float]  # in a Python process that can import neither kerascnn nor keras
    c_api: dict[str, float] | None  # through TensorFlow's C API, without Python and without oneDNN; None: not run
    c_api_absent: str = ""  # why it was not run
    runtime: str = ""  # of a format that is no SavedModel: which answered alone in the fresh process
    precision: str = "float32"  # or "bfloat16", "float16", "int8"
    agreement: float | None = None  # share of the answers whose most probable class is that of the original
    quantization: dict[str, Any] | None = None  # of int8: the images, and what it costs on others
    bytes: int | None = None  # of the file, or of graph and variables
    float32_bytes: int | None = None  # of the weights of the original, 4 each
    graph: list[dict[str, Any]] | None = None  # what was done to the graph before; None: it was not recorded

    def __str__(self) -> str:
        def numbers(differences):
            return ", ".join(f"{name} {value:.1e}" for name, value in sorted(differences.items()))

        if self.runtime:
            text = (
                f"{self.requests} images, largest difference from {self.reference}: {self.runtime} alone "
                f"({numbers(self.fresh_process)})"
            )
        else:
            c_api = f"not run: {self.c_api_absent}" if self.c_api is None else numbers(self.c_api)
            text = (
                f"{self.requests} requests, largest difference from {self.reference}: "
                f"Python without keras ({numbers(self.fresh_process)}); C API without Python and oneDNN ({c_api})"
            )
        parts = [text, self._cost() if self.precision != "float32" else "", self._steps()]
        return "; ".join(part for part in parts if part)

    def _steps(self) -> str:
        """What was done to the graph."""
        if not self.graph:
            return ""
        told = ", ".join(f"{step['layers']} {step['step']}" for step in self.graph)
        return f"graph: {told} (largest difference {max(step['largest_difference'] for step in self.graph):.1e})"

    def _cost(self) -> str:
        """What another precision than float32 does."""
        size = f"{self.bytes:,} bytes, {self.bytes / self.float32_bytes:.0%} of the float32 weights"
        if self.quantization is None:
            return f"{self.precision}: {size}"
        found = self.quantization
        return (
            f"{self.precision}: the same class for {self.agreement:.1%} of {found['compared']} training images "
            f"({found['compared_on']}); {size}"
        )
