"""The parts of a network: every family's, and of models whose layers Keras named."""

import keras
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.surgery import parts


@pytest.mark.parametrize(
    "name, expected",
    [
        ("resnet20", "stem stage1 stage2 stage3 head"),
        ("mobilenetv2_035", "stem stage1 stage2 stage3 stage4 stage5 final head"),
        ("lenet5", "c1 c3 c5 f6 head"),
        ("densenet40_k12", "stem stage1 transition1 stage2 transition2 stage3 head"),  # final_bn belongs to stage3
        # Class token and positions belong to the patches, the last normalization to the last block.
        ("vit_tiny_patch16_224", f"patch {' '.join(f'block{i}' for i in range(1, 13))} head"),
        ("fcn8s_vgg11_bn_small", "stage1 stage2 stage3 stage4 stage5 fc6 fc7 head"),
    ],
)
def test_of_networks(name, expected):
    model = kerascnn.create_model(name)
    found = parts(model)
    assert " ".join(part.name for part in found) == expected
    layers = [layer for part in found for layer in part.layers]
    assert {id(layer) for layer in layers} == {id(layer) for layer in model.layers if layer.weights}
    assert len(layers) == len(set(map(id, layers)))


def test_auxiliary_heads_belong_to_the_head():
    model = kerascnn.create_model("deeply_supervised_nin", auxiliary_heads=True)
    plain = kerascnn.create_model("deeply_supervised_nin")
    assert [part.name for part in parts(model)] == [part.name for part in parts(plain)]
    extra = {layer.name for layer in model.layers if layer.weights} - {layer.name for layer in plain.layers}
    assert extra and extra <= {layer.name for layer in parts(model)[-1].layers}


def test_names_that_keras_made_up():
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.BatchNormalization(), layers.Conv2D(2, 3), layers.BatchNormalization(),
         layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(3)]
    )  # fmt: skip
    kinds = [[type(layer).__name__ for layer in part.layers] for part in parts(model)]
    # What normalizes the image belongs to the first part, there being none before it.
    assert kinds == [
        ["BatchNormalization", "Conv2D", "BatchNormalization"], ["DepthwiseConv2D"], ["Dense"]
    ]  # fmt: skip


def test_what_is_refused():
    with pytest.raises(InputError, match="must have layers with kernels. Received: flat"):
        parts(keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()], name="flat"))
    with pytest.raises(InputError, match="keras.Model"):
        parts("resnet18")
