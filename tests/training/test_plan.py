"""Plans: one home of the rules for recipe, input shape, preprocessing and settings."""

import dataclasses

import pytest
from plan_inputs import SMALL, Network, Set

import kerascnn
from kerascnn import data, training
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, SEGMENTATION
from kerascnn.training import Plan, recipes

PATCHES = Network(recipe="vit", size_multiple=16)
DENSE = Network(task="segmentation", min_size=32, size_multiple=32, preprocessing=SEGMENTATION)


@pytest.mark.parametrize(
    ("info", "image_shape", "size", "shape", "recipe"),
    [
        (Network(), (None, None, 3), None, (224, 224, 3), "imagenet"),
        (Network(), (32, 32, 3), None, (224, 224, 3), "imagenet"),  # not a network for small images: enlarged
        (Network(), (32, 32, 1), 32, (32, 32, 1), "cifar"),
        (Network(), (None, None, 3), 64, (64, 64, 3), "cifar"),
        (Network(), (None, None, 3), 65, (65, 65, 3), "imagenet"),
        (SMALL, (8, 8, 1), None, (8, 8, 1), "cifar"),
        (SMALL, (28, 30, 1), None, (28, 30, 1), "cifar"),
        (SMALL, (7, 8, 1), None, (32, 32, 1), "cifar"),
        (SMALL, (65, 65, 3), None, (32, 32, 3), "cifar"),
        (SMALL, (None, None, 3), None, (32, 32, 3), "cifar"),
        (PATCHES, (None, None, 3), 48, (48, 48, 3), "vit_cifar"),
        (DENSE, (64, 96, 3), None, (64, 96, 3), "segmentation"),
        (DENSE, (64, 97, 3), None, (224, 224, 3), "segmentation"),
        (DENSE, (256, 256, 3), 64, (64, 64, 3), "segmentation"),
    ],
)
def test_shape_and_recipe(info, image_shape, size, shape, recipe):
    plan = training.plan(info, Set(image_shape, info.task), image_size=size)
    assert (plan.shape, plan.recipe, plan.network) == (shape, recipe, "net")
    assert plan.config == recipes.RECIPES[recipe].config and plan.asked == ()


@pytest.mark.parametrize(
    ("info", "options", "words"),
    [
        (Network(), {"image_size": 31}, "net takes images of 32 pixels or more. Received: image_size=31"),
        (Network(), {"image_size": 0}, "image_size must be a whole number, at least 1. Received: image_size=0"),
        (
            PATCHES,
            {"image_size": 40},
            "net takes images whose size is a multiple of 16 pixels. Received: image_size=40",
        ),
        (DENSE, {}, "net must have data for segmentation. Received: set, for classification"),
        (Network(), {"recipe": "resnets"}, "recipe must be one of .*Received: recipe='resnets'"),
        (Network(), {"epochs": 5, "warmup_epochs": 5.0}, r"warmup_epochs must be in \[0, epochs=5\)"),
        (Network(), {"batchsize": 5}, "no field of this name. Received: batchsize"),
        (Network(), {"augment": "scale_crop_flip"}, "for classification"),
    ],
)
def test_what_is_refused(info, options, words):
    with pytest.raises(InputError, match=words):
        training.plan(info, Set(), **options)


def test_values_are_checked_against_the_recipe_that_is_chosen():
    """20 epochs of warm-up are too many for 15 of `cifar`, and fine among the 300 of `vit`."""
    vit, digits = kerascnn.model_info("vit_tiny_patch16_224"), data.load("digits")
    plan = training.plan(vit, digits, warmup_epochs=20)
    assert (plan.recipe, plan.config.epochs, plan.config.warmup_epochs) == ("vit", 300, 20)
    assert plan.asked == ("warmup_epochs",)
    with pytest.raises(InputError, match="warmup_epochs must be in"):
        training.plan(vit, digits, recipe="cifar", warmup_epochs=20)
    assert training.plan(vit, digits, recipe="cifar", warmup_epochs=2).asked == ("recipe", "warmup_epochs")


def test_the_published_weight_decay_is_the_default():
    """resnet20: L2 1e-4 in the paper, where the recipe has 5e-4; lenet5 has none of its own."""
    resnet, lenet = kerascnn.model_info("resnet20"), kerascnn.model_info("lenet5")
    for info, options, expected in [
        (resnet, {}, 1e-3),
        (resnet, {"momentum": 0.5}, 2e-4),
        (resnet, {"optimizer": "adam"}, 1e-2),
        (resnet, {"l2": 1e-4}, 5e-3),
        (resnet, {"weight_decay": 0.3}, 0.3),
        (lenet, {}, 5e-3),
    ]:
        config = training.plan(info, data.load("digits"), recipe="cifar", **options).config
        assert config.weight_decay == pytest.approx(expected)


def test_images_that_change_their_meaning_are_not_mirrored():
    plan = training.plan(SMALL, Set(mirrored=False))
    assert plan.config.augment == "none" and "augment" not in plan.asked
    assert training.plan(SMALL, Set(mirrored=False), augment="pad_crop_flip").config.augment == "pad_crop_flip"
    assert training.plan(SMALL, Set()).config.augment == "pad_crop_flip"


def test_small_images_are_fitted_whole_where_the_network_is_made_for_large_ones():
    def fitted(info, **options):
        plan = training.plan(info, Set((32, 32, 3), info.task), **options)
        assert plan.preprocessing.mean == info.preprocessing.mean
        return plan.preprocessing.fit, plan.preprocessing.crop_fraction

    assert fitted(Network(), image_size=32) == ("pad", 1.0)
    assert fitted(Network(), image_size=224) == ("crop", 0.875)
    assert fitted(SMALL) == ("pad", 1.0)
    own = dataclasses.replace(CIFAR, fit="crop", crop_fraction=0.9)
    assert fitted(dataclasses.replace(SMALL, preprocessing=own)) == ("crop", 0.9)
    assert training.plan(Network(), Set((None, None, 1))).preprocessing.mean == pytest.approx((0.449,))


def test_a_plan_trains(tmp_path, source, network):
    """The record of a run that a plan made: nothing more needs to be said."""
    info = dataclasses.replace(SMALL, input_shape=(8, 8, 1), preprocessing=CIFAR.for_channels(1))
    plan = training.plan(info, source, epochs=1, batch_size=32)
    assert isinstance(plan, Plan)
    result = training.train(network, source, plan, tmp_path / "run")
    assert len(result.rows) == 1
    plan = training.plan(info, source, epochs=2, batch_size=32)  # a warm-up that follows from the epochs stays
    assert plan.config.warmup_epochs == 0.2
    assert training.train(network, source, plan, tmp_path / "run").first_epoch == 1
    from kerascnn.inference.run_record import read_config

    record = read_config(tmp_path / "run/config.json")
    assert record["training"]["warmup_epochs"] == 0.1 and record["asked"] == ["batch_size", "epochs"]
    assert record["model"] == {"name": "net", "options": {}, "classes": 10, "input_shape": [8, 8, 1]}
    with pytest.raises(InputError, match="or a Plan, which has both. Received: no model_record"):
        training.train(network, source, plan.config, tmp_path / "other", preprocessing=plan.preprocessing)
