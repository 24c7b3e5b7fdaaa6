"""kerascnn weights."""

import sys

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import tables
from kerascnn.cli.command import Command, Flag, Values


def run(values: Values, arguments: list[str], console: Console) -> int:
    """kerascnn weights; status 1 where a file of the cache is not the published one."""
    import kerascnn
    from kerascnn.weights import cache, catalogue

    if values["download"] and values["verify"]:
        raise InputError("Files are either fetched or verified. Received: --download and --verify")
    name, tag = (*arguments, None, None)[:2]
    if name is not None:
        kerascnn.model_info(name)  # refuses an unknown name with the nearest ones
    names = sorted(catalogue.networks()) if name is None else [name]
    rows = [(asked, row) for asked in names for row in catalogue.published(asked)]
    if tag is not None:
        rows = [(name, catalogue.find(name, tag))]
    if values["verify"]:
        return _verify([row for _, row in rows if cache.path_of(row).exists()], console)
    if values["download"]:
        if name is None:
            raise InputError("kerascnn weights --download needs the name of a network. Received: none")
        path = cache.obtain(catalogue.find(name, tag or catalogue.DEFAULT))
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
        return 0
    if not rows:
        raise InputError(
            f"No weights are published for {name}; kerascnn weights lists those that are. Received: {name}"
        )
    console.print(tables.published(rows, [cache.at_hand(row) for _, row in rows]))
    return 0


def _verify(rows, console) -> int:
    from kerascnn.weights import cache

    wrong = 0
    for path, row in sorted({cache.path_of(row): row for row in rows}.items()):
        try:
            digest = cache.verify(row, path, thoroughly=True)
        except InputError as error:
            wrong += 1
            print(f"kerascnn: {error}", file=sys.stderr)
        else:
            console.print(f"sha256 {digest}  {path}", highlight=False, markup=False, soft_wrap=True)
    if not rows:
        console.print(f"No weights are kept in {cache.home()}", highlight=False, markup=False, soft_wrap=True)
    return 1 if wrong else 0


COMMAND = Command(
    "weights",
    "[NAME [TAG]]",
    "Lists published weights, fetches them, and verifies those that were fetched.",
    "kerascnn weights resnet50",
    (
        Flag("download", "fetch the file of this network and tag, by default the one marked *, and tell where", bool,
             False),
        Flag("verify", "read the files that were fetched, and compare them with what is published", bool, False),
    ),
    run,
    positional=(0, 2),
    note="Files are kept in KERASCNN_HOME; KERASCNN_MIRROR and KERASCNN_OFFLINE say where they may come from.",
)  # fmt: skip
