"""kerascnn explain filters."""

from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """The filters of a convolution."""
    import numpy as np

    from kerascnn import explain
    from kerascnn._files import atomic_write

    found = explain.filters(request.predictor.model, request.values["layer"])
    explain.draw_filters(found, request.folder / "filters.png")
    with atomic_write(request.folder / "filters.npz", "wb") as file:
        np.savez(
            file, kernels=found.kernels, norms=found.norms, dead=found.dead, roughness=found.roughness,
            high_frequencies=found.high_frequencies,
        )  # fmt: skip
    return ["filters.png", "filters.npz"]


WORD = Word("filters", (0, 0), ("layer",), (), run)
