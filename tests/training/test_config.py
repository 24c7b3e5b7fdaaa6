"""TrainConfig refuses what cannot be meant; recipes give sensible wholes; neither needs TensorFlow."""

import dataclasses
import subprocess
import sys

import pytest

from kerascnn._errors import InputError
from kerascnn.training import TrainConfig, recipes
from kerascnn.training.optimizers import OPTIMIZERS
from kerascnn.training.schedules import SCHEDULES
from kerascnn.training.strategies import STRATEGIES


@pytest.fixture(autouse=True)
def fresh_keras():
    """Nothing here touches Keras, so there is nothing to clear after each test."""


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 0},
        {"epochs": 0},
        {"optimizer": "adagrad"},
        {"epsilon": 1e-3},
        {"beta_1": 0.5, "optimizer": "rmsprop"},
        {"beta_2": 1.0, "optimizer": "adam"},
        {"accumulate": 0},
        {"clip_norm": -1.0},
        {"clip_value": 1.0, "clip_norm": 1.0},
        {"clip_adaptive": 0.01, "clip_value": 1.0},
        {"ema": 1.0},
        {"l2": -1.0},
        {"loss": "hinge"},
        {"label_threshold": 0.2},
        {"decay_every": 0.0},
        {"power": 0.0},
        {"restart_epochs": 0.0},
        {"restart_factor": 0.5},
        {"early_stopping": -1},
        {"schedule": "cubic"},
        {"augment": ""},
        {"mixed_precision": "float8"},
        {"strategy": "tpu"},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"momentum": 0.0, "nesterov": True},
        {"warmup_epochs": 15.0},
        {"milestones": (0.75, 0.5)},
        {"milestones": (0.5, 1.0)},
        {"weight_decay": -1e-4},
        {"label_smoothing": 1.0},
        {"decay_rate": 0.0},
        {"patience": 0},
        {"virtual_devices": 2},
        {"seed": -1},
        {"limit": -1},
        {"layer_decay": 0.0},
        {"layer_decay": 1.5},
        {"unfreeze": (2, 1)},
        {"unfreeze": (0,)},
        {"unfreeze": (1.5,)},
        {"unfreeze": "12"},
        {"unfreeze": (1, 15)},
    ],
    ids=str,
)
def test_bad_values_are_refused_by_name(fields):
    with pytest.raises(InputError, match=f"^(?:{'|'.join(fields)}) .*Received: ") as caught:
        TrainConfig(**fields)
    assert "\n" not in str(caught.value)


def test_round_trip_through_json_values():
    config = TrainConfig(
        schedule="step", milestones=(0.3, 0.6), strategy="mirrored", virtual_devices=2, unfreeze=(1, 1)
    )
    assert TrainConfig.from_dict(config.to_dict()) == config
    with pytest.raises(InputError, match="learning_rat"):
        TrainConfig.from_dict({"learning_rat": 0.1})


def test_every_field_explains_itself():
    for field in dataclasses.fields(TrainConfig):
        assert len(field.metadata["help"]) > 10, field.name


def test_recipes_follow_the_network_and_the_size():
    assert recipes.choose("imagenet", 224) == "imagenet"
    assert recipes.choose("imagenet", 32) == "cifar"
    assert recipes.choose("lenet", 32) == "lenet"
    assert recipes.choose("vit", 64) == "vit_cifar" and recipes.choose("vit", 65) == "vit"
    assert recipes.choose("vit_cifar", 224) == "vit_cifar"
    with pytest.raises(InputError, match="recipe must be one of .*Received: recipe='resnets'"):
        recipes.choose("resnets", 32)
    # DeiT: 5e-4 for 512 images
    transformers = recipes.resolve("vit")
    assert transformers.learning_rate / transformers.batch_size == pytest.approx(5e-4 / 512)
    assert transformers.optimizer == "adam" and transformers.weight_decay == 0.05
    # fb.resnet.torch: 0.1 for a batch of 256; L2 1e-4 at momentum 0.9 is decoupled 1e-3.
    published = recipes.resolve("imagenet")
    assert (published.batch_size, published.learning_rate, published.epochs) == (256, 0.1, 90)
    assert published.weight_decay == pytest.approx(1e-4 / (1 - published.momentum))


def test_overrides_win_and_what_depends_on_them_follows():
    short = recipes.resolve("imagenet", epochs=2)
    assert (short.epochs, short.warmup_epochs) == (2, 0.2)
    assert recipes.resolve("imagenet", epochs=2, warmup_epochs=1.0).warmup_epochs == 1.0
    assert recipes.resolve("cifar", epochs=100).warmup_epochs == 1.0
    assert recipes.resolve("cifar", momentum=0.0).nesterov is False
    assert recipes.resolve("cifar", optimizer="adam").learning_rate == 1e-3
    assert recipes.resolve("cifar", optimizer="adam", learning_rate=0.1).learning_rate == 0.1


def test_every_recipe_names_its_papers_and_fits_its_own_rules():
    assert set(recipes.RECIPES) >= {"cifar", "imagenet", "lenet", "segmentation", "vit"}
    for name, recipe in recipes.RECIPES.items():
        assert "arXiv" in recipe.source or "doi" in recipe.source, name
        assert len(recipe.networks) > 10 and recipes.resolve(name) == recipe.config
        assert recipe.small_images in (None, *recipes.RECIPES)


def test_names_stand_in_one_table():
    for table, field in ((OPTIMIZERS, "optimizer"), (SCHEDULES, "schedule")):
        choices = {field.name: field.metadata["choices"] for field in dataclasses.fields(TrainConfig)}[field]
        assert choices == tuple(table)
    with pytest.raises(InputError, match=f"strategy must be one of {', '.join(STRATEGIES)}. Received"):
        TrainConfig(strategy="two")


@pytest.mark.parametrize("value", ["5", None, 2**31, 10**400, True, [1]])
def test_numbers_must_be_numbers(value):
    for name in ("batch_size", "epochs", "limit", "seed"):
        with pytest.raises(InputError, match=f"^{name} must be a whole number"):
            TrainConfig(**{name: value})
    if value not in (2**31,):
        with pytest.raises(InputError, match="^learning_rate must be a finite number"):
            TrainConfig(learning_rate=value)
        with pytest.raises(InputError, match="^milestones must be"):
            TrainConfig(milestones=value if isinstance(value, str) else (value,))


def test_unknown_recipe_or_field():
    with pytest.raises(InputError, match="recipe must be one of .*cifar, .*Received: recipe='vggg'"):
        recipes.resolve("vggg")
    with pytest.raises(InputError, match="Received: rate"):
        recipes.resolve("cifar", rate=1)


def test_configuration_needs_no_tensorflow():
    code = (
        "import sys; from kerascnn import training, cli, tasks; training.recipes; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
