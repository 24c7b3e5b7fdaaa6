"""Every method, or a refusal that says why, on the smallest network of every family, and on what runs leave behind."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn.inference import Predictor

FACTS = json.loads((Path(kerascnn.__file__).parent / "applications/facts.json").read_text(encoding="utf-8"))
QUICK = ("lenet", "resnet_cifar", "vit")  # by default; the others run after
# The methods that ask a network for more than its scores and gradients; all are run on the quick ones.
PECULIAR = ("attention_rollout", "cam", "grad_cam", "guided_backprop")
FEW = {"samples": 1, "steps": 1, "window": 32, "stride": 32}
# What may be refused, and how the refusal begins; every other refusal is a fault.
REASONS = {
    "attention_rollout": "attention_rollout needs a network whose attentions are matrices over the same tokens",
    "cam": "cam needs a network that ends in global average pooling",
    "guided_backprop": "guided_backprop changes what ReLUs hand back, and the network must have one",
    "deconvnet": "deconvnet changes what ReLUs hand back, and the network must have one",
    "guided_grad_cam": "guided_grad_cam changes what ReLUs hand back, and the network must have one",
}
MAPS_ALONE = "The model must have one input and one output"  # segmentation: scores of pixels


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


def asked(method, model, x, **more):
    """What a method says, or the reason why it does not; nothing else may be raised."""
    function = explain.METHODS[method]
    options = {key: value for key, value in FEW.items() if key in function.__kwdefaults__}
    try:
        found = function(model, x, **options, **more)
    except InputError as error:
        assert method in REASONS and str(error).startswith(REASONS[method]) and "\n" not in str(error), (method, error)
        assert re.search(r"Received: .* with ", str(error)), error
        return None
    assert found.maps.shape == x.shape[:3] and found.maps.dtype == np.float32, method
    assert np.isfinite(found.maps).all() and np.isfinite(found.raw).all(), method
    return found


@pytest.mark.parametrize("family, name", cheapest())
def test_every_method_on_every_family(family, name):
    info = kerascnn.model_info(name)
    step = info.size_multiple
    side = -(-max(32, info.min_size) // step) * step
    channels = 1 if len(name) % 2 else 3  # gray or RGB
    shape = (side, side, channels)
    if info.task == "segmentation":
        model = kerascnn.create_model(name, input_shape=shape, classes=3)
        with pytest.raises(InputError, match=MAPS_ALONE):
            explain.grad_cam(model, np.zeros((1, *shape), "float32"))
        return
    policy = "mixed_float16" if family == "resnet_cifar" else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        model = kerascnn.create_model(name, input_shape=shape, classes=5)
    finally:
        keras.config.set_dtype_policy("float32")
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    methods = explain.METHODS if family in QUICK else PECULIAR
    found = {method: asked(method, model, x, target=2) for method in methods}
    assert found["grad_cam"] is not None
    assert (found["attention_rollout"] is not None) == (family == "vit")
    if found["cam"] is not None:
        score = found["cam"].raw.mean((1, 2)) + found["cam"].options["bias"]
        np.testing.assert_allclose(score, found["cam"].scores, rtol=1e-3, atol=1e-3 * np.abs(found["cam"].raw).max())


def test_a_file_a_predictor_and_a_network_with_its_pixels(tmp_path):
    """The same numbers from a .keras file; and with the preprocessing inside, in the pixels that it takes."""
    model = kerascnn.create_model("resnet20", weights="fashion_mnist")
    x = np.random.default_rng(0).uniform(0, 255, (2, 28, 28, 1)).astype("float32")
    constants = kerascnn.model_preprocessing(model).for_channels(1)
    mean, std = 255 * np.array(constants.mean), 255 * np.array(constants.std)
    image = keras.Input((28, 28, 1))
    whole = keras.Model(image, model(keras.layers.Rescaling(float(1 / std[0]), float(-mean[0] / std[0]))(image)))
    whole.save(tmp_path / "whole.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    plain = explain.gradients(model, (x - mean) / std, target=4)
    for network in (whole, again, Predictor.from_model(again, list("abcdefghij"), preprocessing=constants)):
        found = explain.gradients(network, x, target=4)
        np.testing.assert_allclose(found.raw * std, plain.raw, rtol=1e-3, atol=1e-5)
        where = explain.grad_cam(network, x, target=4)
        expected = explain.grad_cam(model, (x - mean) / std, target=4)
        np.testing.assert_allclose(where.raw, expected.raw, rtol=1e-3, atol=1e-5)
        assert where.layer.endswith(expected.layer) and where.layer.startswith("resnet20/")
