"""Which networks become inference programs, and for which layer each of the others does not."""

import json
import re
from pathlib import Path

import pytest
from compiled_checks import check

import kerascnn
from kerascnn._errors import InputError

FACTS = json.loads((Path(kerascnn.__file__).parent / "applications/facts.json").read_text(encoding="utf-8"))
QUICK = ("lenet", "resnet_cifar", "vit")  # by default; the others run after
# The layer that no instruction stands for.
REASONS = {
    "alexnet": "AdaptiveAveragePooling2D",  # where windows of several sizes are needed, as for an image this small
    "bit": "WeightStandardizedConv2D",
    "cbam": "ChannelPool",
    "deeplab_v3": "ResizeLike",
    "deformable_resnet": "DeformableConv2D",
    "fcn": "BilinearUpsampling2D",
    "fcn_resnet": "ResizeLike",
    "highway": "Subtract",
    "lenet": "Activation",  # the scaled hyperbolic tangent of the network of 1998
    "simplenet": "SAFPooling2D",
    "simpnet": "SAFPooling2D",
    "t2t_vit": "PerformerAttention",
    "zfnet": "LocalResponseNormalization",
}


def cheapest():
    """The network with the fewest multiply-adds of each family."""
    found = {}
    for name in kerascnn.list_models():
        info = kerascnn.model_info(name)
        cost = FACTS.get(name, {}).get("macs", float("inf"))
        if info.family not in found or cost < found[info.family][0]:
            found[info.family] = cost, name
    return [
        pytest.param(family, name, marks=() if family in QUICK else pytest.mark.after, id=name)
        for family, (_, name) in sorted(found.items())
    ]


@pytest.mark.parametrize(("family", "name"), cheapest())
def test_every_family(family, name):
    """Lowered, and equal to the network; or refused for the layer that is written above."""
    info = kerascnn.model_info(name)
    side = -(-max(32, info.min_size) // info.size_multiple) * info.size_multiple
    shape = (side, side, info.input_shape[2])
    model = kerascnn.create_model(name, input_shape=shape, classes=5)
    try:
        check(model, shape)
    except InputError as error:
        found = re.search(r"stands for\. Received: \S+, \S+ \((\w+)\)", str(error))
        assert found and found[1] == REASONS.get(family), str(error)
    else:
        assert family not in REASONS
