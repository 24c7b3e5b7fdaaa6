"""kerascnn explain activations."""

from kerascnn.cli.seeing.word import Request, Word


def run(request: Request) -> list[str]:
    """The maps of a layer for each image, and what is zero over all of them."""
    import csv

    import numpy as np

    from kerascnn import explain
    from kerascnn._files import atomic_write
    from kerascnn.cli.naming import pictures

    model, layer = request.predictor.model, request.values["layer"]
    found = explain.activations(model, request.images, layer)
    statistics = explain.activation_statistics(model, request.images, layer)[layer]
    written = []
    if found.maps.ndim == 4:
        written = pictures(request.files, "activations")
        for index, name in enumerate(written):
            title = f"{request.files[index].name[:40]}, {layer}"
            explain.draw_activations(found, request.folder / name, index=index, title=title)
    with atomic_write(request.folder / "activations.npz", "wb") as file:
        np.savez(file, maps=found.maps)
    columns = {
        "channel": range(len(statistics.zeros)), "zero_fraction": statistics.zero_fraction, "dead": statistics.dead,
        "largest": statistics.largest, "hoyer": statistics.hoyer,
    }  # fmt: skip
    with atomic_write(request.folder / "activations.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return [*written, "activations.npz", "activations.csv"]


WORD = Word("activations", (1, 64), ("layer",), ("layer",), run)
