"""Facts follow the row that is built, not the name under which it is asked for."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import applications
from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.models import DeepModel


def families_with_rows_that_differ():
    """For each network the rows of its family that its builder takes and that change one of its facts."""
    _registry.load_families()
    for name in kerascnn.list_models():
        builder, own = _registry.builder(name), kerascnn.model_info(name)
        for other in kerascnn.list_models(family=own.family):
            row = kerascnn.model_info(other).spec
            if other == name or type(row) is not type(own.spec):
                continue
            info = builder.info_of(row)
            if (info.min_size, info.size_multiple) != (own.min_size, own.size_multiple):
                yield name, other


SWAPS = {("squeezenet1_0", "squeezenet1_1"), ("googlenet", "googlenet_2014"), ("pit_ti_224", "pit_b_224")}
SWAPS |= {("vit_base_patch32_224", "vit_base_patch16_224"), ("mixer_s32_224", "mixer_s16_224")}
SWAPS |= {("simplenet_cifar_5m", "simplenet_cifar_5m_extra_pool"), ("fcn32s_vgg16", "fcn32s_vgg11_bn_small")}


def test_the_swaps_below_are_of_every_family_where_a_row_changes_a_fact():
    changing = {kerascnn.model_info(name).family for name, _ in families_with_rows_that_differ()}
    assert changing - {"nin", "vgg"} == {kerascnn.model_info(name).family for name, _ in SWAPS}


@pytest.mark.parametrize("name, other", sorted(SWAPS | {(b, a) for a, b in SWAPS}))
def test_sizes_follow_the_row(name, other, without_values):
    row = kerascnn.model_info(other).spec
    info = _registry.builder(name).info_of(row)
    assert (info.min_size, info.size_multiple) == (
        kerascnn.model_info(other).min_size,
        kerascnn.model_info(other).size_multiple,
    )
    size = -(-info.min_size // info.size_multiple) * info.size_multiple
    with without_values:
        stages = kerascnn.create_model(name, spec=row, features_only=True, input_shape=(size, size, 3))
    assert all(min(shape[1:3]) >= 1 for shape in stages.output_shape)
    if info.size_multiple > 1:
        with pytest.raises(InputError, match=f"multiples of {info.size_multiple}"):
            kerascnn.create_model(name, spec=row, input_shape=(size + info.size_multiple // 2,) * 2 + (3,))
    else:
        with pytest.raises(InputError, match=f"at least {info.min_size} by {info.min_size}"):
            kerascnn.create_model(name, spec=row, input_shape=(size - 1, size - 1, 3))


def test_a_patch_of_another_size_has_other_multiples():
    row = dataclasses.replace(kerascnn.model_info("vit_tiny_patch16_224").spec, patch=32)
    with pytest.raises(InputError, match="multiples of 32.*Received: .240, 240, 3"):
        kerascnn.create_model("vit_tiny_patch16_224", spec=row, input_shape=(240, 240, 3))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014"])
def test_auxiliary_heads_have_the_norms_of_the_row(name, batch_norm, without_values):
    row = dataclasses.replace(kerascnn.model_info(name).spec, batch_norm=batch_norm)
    with without_values:
        model = kerascnn.create_model(name, spec=row, auxiliary_heads=True, classes=4)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert bool(norms) is batch_norm
    assert all(conv.use_bias is not batch_norm for conv in model.layers if conv.name in ("aux1_conv", "aux2_conv"))


def test_auxiliary_heads_are_in_the_style_of_the_row(without_values):
    row = dataclasses.replace(kerascnn.model_info("naonet_ws").spec, filters=4, repeats=1)
    with without_values:
        built = kerascnn.create_model("naonet_f36", spec=row, auxiliary_heads=True)
    assert built.get_layer("aux_head").use_bias is False  # as of shared weights, whose conventions the row has
    keras_form = kerascnn.model_info("inception_v3_keras").spec
    with without_values:
        built = kerascnn.create_model("inception_v3", spec=keras_form, auxiliary_heads=True)
    assert built.get_layer("aux_bn1").scale is False


def test_networks_of_more_layers_than_keras_can_walk_are_deep(without_values):
    row = kerascnn.model_info("resnet20").spec
    with without_values:
        few = kerascnn.create_model("resnet1202", spec=row)
        many = kerascnn.create_model("resnet20", spec=dataclasses.replace(row, blocks=40))
    assert not isinstance(few, DeepModel) and isinstance(many, DeepModel)


@pytest.mark.parametrize(
    "name, other", [("tf_mobilenetv2_100_224", "mobilenetv2_100"), ("efficientnet_b0", "tf_efficientnet_b3"),
                    ("bn_inception", "inception_v2"), ("tf_mobilenetv1_100_224", "tf_mobilenetv1_025_128")]
)  # fmt: skip
def test_pixels_and_default_sizes_follow_the_row(name, other, without_values):
    row, expected = kerascnn.model_info(other).spec, kerascnn.model_info(other)
    with without_values:
        model = kerascnn.create_model(name, spec=row)
    assert kerascnn.model_preprocessing(model) == expected.preprocessing
    assert model.input_shape[1:] == expected.input_shape


def test_modules_whose_networks_disagree_ask_for_the_network():
    pixels = np.zeros((1, 2, 2, 3), "uint8")
    disagree = set()
    for family in _registry.families():
        rows = [kerascnn.model_info(name) for name in kerascnn.list_models(family=family)]
        module = getattr(applications, family)
        if len({(row.preprocessing.mean, row.preprocessing.std) for row in rows}) == 1:
            ours = module.preprocess_input(pixels)
            np.testing.assert_array_equal(ours, rows[-1].preprocess(pixels))
        else:
            disagree.add(family)
            with pytest.raises(
                InputError, match=rf"{family} are not all fed the same; use .*model_info\(NAME\).preprocess"
            ):
                module.preprocess_input(pixels)
    assert {"mobilenet_v2", "efficientnet_lite", "bn_inception", "vgg"} <= disagree and len(disagree) >= 14


def test_a_network_preprocesses_by_its_own_constants():
    white = np.full((1, 1, 1, 3), 255, "uint8")
    for name, expected in (("tf_mobilenetv2_100_224", 1.0), ("mobilenetv2_100", (1 - 0.485) / 0.229)):
        value = kerascnn.model_info(name).preprocess(white)
        assert isinstance(value, np.ndarray) and value[0, 0, 0, 0] == pytest.approx(expected)
    for wrong in (3, None, np.float32(3)):
        with pytest.raises(InputError, match="array or tensor"):
            kerascnn.model_info("resnet50").preprocess(wrong)
