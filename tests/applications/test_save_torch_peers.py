"""save_torch against torchvision and timm: they load the file with strict=True and give our outputs."""

import json
from pathlib import Path

import parity
import pytest

import kerascnn

PEERS = json.loads((Path(__file__).parents[1] / "golden/peers.json").read_text(encoding="utf-8"))
QUICK = 5e6  # parameters
AUXILIARY = ("deeplab_v3", "fcn_resnet", "googlenet", "inception_v3")  # torchvision's have their heads unless told


def rows():
    """Every network of the parity tests, the larger ones marked slow."""
    for key in sorted(PEERS):
        name, library = key.split()
        if library != "keras":
            slow = kerascnn.model_info(name).params > QUICK
            yield pytest.param(name, library, id=f"{name}-{library}", marks=[pytest.mark.slow] * slow)


@pytest.mark.peers
@pytest.mark.parametrize("name, library", list(rows()))
def test_the_library_loads_what_is_saved(name, library, tmp_path, monkeypatch):
    monkeypatch.delenv("KERASCNN_PARITY_OUT", raising=False)  # the table is of the way in
    row, family = PEERS[f"{name} {library}"], kerascnn.model_info(name).family
    options = {"input_shape": (row["size"], row["size"], 3), "classifier_activation": None, **row.get("options", {})}
    if library == "torchvision" and family in AUXILIARY:
        options["auxiliary_heads"] = True
    model = kerascnn.create_model(name, **options)
    parity.randomize(model)
    path = tmp_path / "ours.safetensors"
    kerascnn.weights.save_torch(model, path, library)
    peer_options = json.dumps(row.get("peer_options", {}))
    arrays = parity.peer(library, row["peer"], tmp_path, size=row["size"], options=peer_options, state=str(path))
    theirs = parity.channels_last(arrays["output"])
    ours = model(parity.images(arrays), training=False)
    parity.check(name, str(arrays["versions"]), ours[0] if isinstance(ours, list | tuple) else ours, theirs)
