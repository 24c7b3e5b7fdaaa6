"""What pixels go through travels with the graph: into files, clones, parts and larger models."""

from pathlib import Path

import keras
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn._preprocessing import IMAGENET, INCEPTION, LENET
from kerascnn.layers import ImageInput, StageOutput, model_preprocessing

RELEASED = Path(__file__).parents[1] / "golden" / "release_0_1"


@pytest.fixture(scope="module")
def lenet():
    return kerascnn.create_model("lenet5")


def small(preprocessing, name="net"):
    """A network of two stages, as the builders make them, but not by them."""
    x = image = ImageInput((8, 8, 3), preprocessing=preprocessing, name="image").output
    for s in (1, 2):
        x = keras.layers.Conv2D(2, 1, name=f"conv{s}")(x)
        x = StageOutput(preprocessing, name=f"stage{s}")(x)
    return keras.Model(image, x, name=name)


def test_a_network_says_what_its_row_says(lenet):
    assert model_preprocessing(lenet) == kerascnn.model_preprocessing(lenet) == LENET
    assert kerascnn.model_info("lenet5").preprocessing == LENET


def test_it_travels_in_files(lenet, tmp_path):
    lenet.save(tmp_path / "model.keras")
    assert model_preprocessing(keras.models.load_model(tmp_path / "model.keras")) == LENET


@pytest.mark.parametrize("options", [{}, {"clone_function": lambda layer: type(layer).from_config(layer.get_config())}])
def test_it_travels_in_clones(lenet, options):
    clone = keras.models.clone_model(lenet, **options)
    assert model_preprocessing(clone) == LENET
    assert model_preprocessing(type(lenet).from_config(lenet.get_config())) == LENET


def test_clones_of_networks_whose_head_sees_no_stage_carry_it():
    with keras.StatelessScope(initialize_variables=False):
        model = kerascnn.create_model("vit_tiny_patch16_224", input_shape=(32, 32, 3))
    assert model_preprocessing(keras.models.clone_model(model)) == kerascnn.model_info(model.name).preprocessing


def test_it_travels_in_parts_and_in_larger_models(lenet):
    for layer in lenet.layers[1:]:
        assert model_preprocessing(keras.Model(lenet.input, layer.output)) == LENET, layer.name
    larger = keras.Model(lenet.input, keras.layers.Dense(2)(lenet.output))
    around = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.RandomFlip(), lenet])
    distributed = keras.Sequential([keras.Input((3, 32, 32, 1)), keras.layers.TimeDistributed(lenet)])
    for model in (larger, around, distributed, keras.models.clone_model(larger)):
        assert model_preprocessing(model) == LENET


def test_it_travels_where_a_tensor_is_given():
    image = keras.Input((32, 32, 3))
    model = kerascnn.create_model("resnet20", input_tensor=image)
    assert model_preprocessing(model) == kerascnn.model_info("resnet20").preprocessing


def test_models_that_do_not_say_it_are_refused():
    old = keras.models.load_model(RELEASED / "lenet5_1998.keras")  # its stages are Keras' own layers
    with pytest.raises(InputError, match=r"keep kerascnn.model_info\(NAME\).preprocessing beside it. Received: lenet5"):
        model_preprocessing(old)
    with pytest.raises(InputError, match="made of a network"):
        model_preprocessing(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Dense(2)]))
    with pytest.raises(InputError, match="must be a keras.Model. Received: 'resnet50'"):
        model_preprocessing("resnet50")


def test_networks_that_disagree_are_refused():
    first, second = small(IMAGENET, "first"), small(INCEPTION, "second")
    image = keras.Input((8, 8, 3))
    both = keras.Model(image, keras.layers.Add()([first(image), second(image)]))
    with pytest.raises(InputError, match=r"must agree .* Received: mean \(0.485, .* and mean \(0.5, 0.5, 0.5\)"):
        model_preprocessing(both)
    same = keras.Model(image, keras.layers.Add()([first(image), small(IMAGENET, "third")(image)]))
    assert model_preprocessing(same) == IMAGENET


@pytest.mark.parametrize("scaling", [keras.layers.Rescaling(1 / 255), keras.layers.Normalization(mean=0, variance=1)])
def test_a_model_that_scales_pixels_is_refused(scaling):
    image = keras.Input((8, 8, 3))
    with pytest.raises(InputError, match=f"scales pixels itself .* Received: the layer {scaling.name}"):
        model_preprocessing(keras.Model(image, small(IMAGENET)(scaling(image))))


def test_a_scaled_residual_branch_is_no_scaling_of_pixels():
    with keras.StatelessScope(initialize_variables=False):
        model = kerascnn.create_model("inception_resnet_v1", features_only=True)
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    assert model_preprocessing(model) == INCEPTION


@pytest.mark.parametrize("layer", [ImageInput((8, 8, 3), preprocessing=IMAGENET, name="a"), StageOutput(IMAGENET)])
def test_configs_hold_plain_values(layer):
    config = layer.get_config()
    assert config["preprocessing"] == IMAGENET.to_dict()
    assert type(layer).from_config(config).preprocessing == IMAGENET
    assert type(layer).from_config({**config, "preprocessing": None}).preprocessing is None
