"""The four cases of fine-tuning: which one a set is, and what is trained then."""

import dataclasses

import pytest

import kerascnn
from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.training import finetuning, finetuning_plan, plan, recipes

INFO = kerascnn.model_info("efficientnet_lite0")


def images(count, shape=(224, 224, 3), classes=4):
    """A set of `count` images to learn from."""
    made = data.load(f"synthetic:8x8x{shape[2]},classes={classes},examples={count},validation=8,test=8")
    return dataclasses.replace(made, image_shape=shape)


@pytest.mark.parametrize(
    "source, size, domain, head_stage, fields",
    [
        (images(799), "small", "similar", None, {"freeze": "head", "epochs": 20}),
        (images(799, (None, None, 3)), "small", "similar", None, {"freeze": "head"}),
        (images(799, (111, 300, 3)), "small", "different", 4, {"freeze": "head"}),
        (images(799, (224, 224, 1)), "small", "different", 4, {"freeze": "head"}),
        (images(800), "large", "similar", None, {"freeze": "none", "layer_decay": 0.7, "epochs": 10}),
        (images(800, (96, 96, 3)), "large", "different", None, {"freeze": "none", "layer_decay": 1.0}),
    ],
    ids=lambda value: f"{value.sizes['train']} {value.image_shape}" if isinstance(value, data.Source) else str(value),
)
def test_the_case_follows_from_the_set(source, size, domain, head_stage, fields):
    chosen = finetuning_plan(INFO, source)
    scratch = plan(INFO, source, recipe="imagenet")  # by which trained weights learn, whatever the network's own is
    assert (chosen.size, chosen.domain, chosen.head_stage) == (size, domain, head_stage)
    assert {name: getattr(chosen.plan.config, name) for name in fields} == fields
    slower = 1 if head_stage else 10
    assert chosen.plan.config.learning_rate == recipes.RECIPES["imagenet"].config.learning_rate / slower
    assert chosen.plan.config.augment == scratch.config.augment and chosen.plan.asked == ()
    assert "\n" not in chosen.reason and f"a {size} set" in chosen.reason and domain in chosen.reason
    both = finetuning_plan(INFO, images(100), size=size, domain=domain)  # said, whatever the set is like
    assert dataclasses.replace(both.plan.config, augment=scratch.config.augment) == chosen.plan.config


def test_what_is_given_wins():
    source = images(100)
    chosen = finetuning_plan(INFO, source, epochs=3, learning_rate=0.5, batch_size=8)
    config = chosen.plan.config
    assert (config.freeze, config.epochs, config.learning_rate, config.batch_size) == ("head", 3, 0.5, 8)
    assert chosen.plan.asked == ("batch_size", "epochs", "learning_rate")
    chosen = finetuning_plan(INFO, source, domain="different", freeze="stage3")
    assert (chosen.head_stage, chosen.plan.config.freeze) == (None, "stage3") and "what --freeze says" in chosen.reason
    chosen = finetuning_plan(INFO, source, unfreeze=(1, 2), layer_decay=0.5)
    assert (chosen.plan.config.freeze, chosen.plan.config.unfreeze) == ("none", (1, 2))
    assert finetuning_plan(INFO, source, head_stage=2).plan.config.freeze == "head"
    assert finetuning_plan(INFO, source, head_stage=2, freeze="stem").plan.config.freeze == "stem"
    assert finetuning_plan(INFO, source, optimizer="adam").plan.config.learning_rate == pytest.approx(1e-4)


def test_every_network_for_classification_has_a_plan():
    source = images(100)
    for name in kerascnn.list_models():
        info = kerascnn.model_info(name)
        if len(info.stages) > 1 and info.task == "classification":
            assert finetuning_plan(info, source, domain="different").head_stage == len(info.stages) - 1, name


def test_what_is_refused():
    with pytest.raises(InputError, match="size must be one of small, large. Received: size='tiny'"):
        finetuning_plan(INFO, images(8), size="tiny")
    with pytest.raises(InputError, match=r"head_stage must be a whole number from 1 to 5. Received: head_stage=6"):
        finetuning_plan(INFO, images(8), head_stage=6)
    with pytest.raises(InputError, match="A linear head classifies images. Received: head_stage=1 of fcn_resnet50"):
        finetuning.check_head_stage(kerascnn.model_info("fcn_resnet50"), 1)
    with pytest.raises(InputError, match="domain different needs a network of several stages"):
        finetuning_plan(dataclasses.replace(INFO, stages=()), images(8), domain="different")
