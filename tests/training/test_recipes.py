"""The recipes of the papers: each trains, each is scaled as its rules say, and what cannot work is refused before."""

import dataclasses
import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from plan_inputs import Network

import kerascnn
from kerascnn import data, training
from kerascnn._errors import InputError
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays
from kerascnn.training import history, recipes

SIZE, CLASSES = 16, 3
CLASSIFY = sorted(set(recipes.RECIPES) - {"segmentation"})
QUICK = {"a1", "googlenet", "simplenet"}  # LAMB, mixing and binary; averages and every; AdaDelta and L2
# The graph of a policy takes ten seconds: these two recipes run with theirs, the others that have one without it.
POLICIES = {"a2", "efficientnet"}


def colors():
    """24 noisy squares of one color a class, 6 more to validate on."""
    draw = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % CLASSES
        noise = draw.integers(0, 60, (count, SIZE, SIZE, 3))
        return Arrays((noise + 150 * np.eye(3, dtype=int)[labels][:, None, None]).astype(np.uint8), labels)

    return Source("colors", ("red", "green", "blue"), (SIZE, SIZE, 3), {"train": part(24), "validation": part(6)})


def network():
    """[n, 16, 16, 3] -> [n, 3]."""
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="stem")(x)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="head")(x), name="tiny")


TINY = Network(name="tiny", input_shape=(SIZE, SIZE, 3), min_size=8)


@pytest.mark.parametrize("name", [pytest.param(x, marks=[pytest.mark.after] * (x not in QUICK)) for x in CLASSIFY])
def test_one_short_epoch(name, tmp_path):
    plan = training.plan(TINY, colors(), recipe=name, epochs=1, batch_size=8)
    assert plan.config.augment == recipes.RECIPES[name].config.augment
    if name not in POLICIES:
        parts = [part for part in plan.config.augment.split(" + ") if not part.startswith("randaugment")]
        plan = training.plan(TINY, colors(), recipe=name, epochs=1, batch_size=8, augment=" + ".join(parts))
    result = training.train(network, colors(), plan, tmp_path / "run")
    (row,) = result.rows
    assert np.isfinite(list(row.values())).all() and row["lr"] > 0
    best = keras.models.load_model(tmp_path / "run" / "best.keras", compile=False)
    start = network().get_weights()
    moved = [np.abs(x - y).max() for x, y in zip(best.get_weights(), start, strict=True) if x.size > 4]
    assert max(moved) > 0
    assert history.read(tmp_path / "run" / "history.csv") == result.rows


@pytest.mark.after
def test_lenet_of_1998_learns(tmp_path):
    """Its scores are squared distances: by the recipe of the other LeNet-5 it diverges."""
    info, digits = kerascnn.model_info("lenet5_1998"), data.load("digits")
    plan = training.plan(info, digits, epochs=8)

    def made():
        return kerascnn.create_model(info.name, input_shape=plan.shape, classifier_activation=None)

    rows = training.train(made, digits, plan, tmp_path / "run").rows
    assert rows[-1]["val_accuracy"] > 0.8 > rows[0]["val_accuracy"]


def test_a_network_has_its_papers_recipe():
    """That of its own paper, and the one for small images where it is trained on those."""
    found = {name: kerascnn.model_info(name).recipe for name in kerascnn.list_models()}
    assert set(found.values()) <= set(recipes.RECIPES)
    for name, recipe in {
        "alexnet": "alexnet", "zfnet": "zfnet", "vgg16": "vgg", "googlenet": "googlenet", "lenet5": "lenet",
        "lenet5_1998": "lenet_1998",
        "resnet50": "resnet", "resnet20": "resnet_cifar", "preresnet110": "resnet_cifar", "wrn40_1": "wrn",
        "densenet121": "densenet_imagenet", "resnet110_sd": "stochastic_depth", "shake_shake26_2x96d": "shake_shake",
        "pyramidnet164_a48": "pyramidnet", "fractalnet21": "fractalnet", "simpnet_300k": "simpnet",
        "mobilenetv2_100": "mobilenet", "efficientnet_b0": "efficientnet", "nasnet_a_6_768": "nasnet_cifar",
        "vit_tiny_patch16_224": "vit", "swin_tiny_patch4_window7_224": "swin", "pit_s_224": "pit",
        "mixer_s16_224": "mixer", "inception_v3": "inception_v3",
    }.items():  # fmt: skip
        assert found[name] == recipe, name
    used = set(found.values()) | {recipe.small_images for recipe in recipes.RECIPES.values()}
    # Those of no family: later procedures for networks that have their own, and masks.
    assert set(recipes.RECIPES) - used == {"a1", "a2", "a3", "segmentation", "shake_shake_cutout"}


def test_networks_without_batch_norm_have_rates_that_they_bear():
    """At 0.1 they diverge, on small images too. Weight-standardized ones with group norms bear it."""
    facts = json.loads((Path(kerascnn.__file__).parent / "applications/facts.json").read_text(encoding="utf-8"))
    for name in kerascnn.list_models():
        info = kerascnn.model_info(name)
        if facts[name]["params_other"] == 0 and info.family != "bit":
            for size in (32, 224):
                config = recipes.resolve(recipes.choose(info.recipe, size))
                assert config.learning_rate <= 0.04, (name, size)


def test_options_are_those_of_the_networks():
    """Each network whose own recipe wants an option has it; googlenet has auxiliary heads, resnet50 none."""
    for name in kerascnn.list_models():
        info = kerascnn.model_info(name)
        if info.recipe in ("efficientnet", "swin", "pit", "mixer", "fractalnet", "nasnet_cifar", "darts"):
            known = inspect.signature(getattr(kerascnn.applications, info.builder)).parameters
            assert recipes.RECIPES[info.recipe].options.keys() <= known.keys(), name


def test_the_rate_follows_the_batch():
    assert recipes.resolve("wrn", batch_size=32).learning_rate == pytest.approx(0.025)
    assert recipes.resolve("wrn", batch_size=32, accumulate=4).learning_rate == pytest.approx(0.1)
    assert recipes.resolve("wrn", batch_size=32, learning_rate=0.3).learning_rate == 0.3
    assert recipes.resolve("a1", batch_size=512).learning_rate == pytest.approx(5e-3 / 2)  # LAMB: the root
    assert recipes.resolve("efficientnet", batch_size=4096).learning_rate == pytest.approx(0.256)  # the paper's


def test_what_is_counted_in_epochs_shrinks_with_the_run():
    short = recipes.resolve("googlenet", epochs=30)
    assert short.decay_every == pytest.approx(4.0) and short.decay_rate == 0.96
    assert recipes.resolve("googlenet", epochs=30, decay_every=8.0).decay_every == 8.0
    assert recipes.resolve("swin", epochs=30).warmup_epochs == 3.0
    assert recipes.resolve("wrn", epochs=20).milestones == (0.3, 0.6, 0.8)


def test_what_is_said_of_a_recipe():
    """All in which it differs, so that "as published" is true."""
    assert recipes.told("wrn", recipes.resolve("wrn", seed=3)) == "recipe wrn (Wide ResNets on CIFAR): as published"
    other = recipes.told("wrn", recipes.resolve("wrn", augment="none", weight_decay=0.0))
    assert other.endswith("CIFAR): weight_decay, augment are not the recipe's")
    assert recipes.told("wrn", recipes.resolve("wrn", batch_size=64, nesterov=False)).endswith(
        "rate 0.05 for batches of 64, where it is 0.1 for 128; nesterov is not the recipe's"
    )


def test_another_optimizer_brings_its_own():
    config = recipes.resolve("efficientnet", optimizer="adamw")
    assert (config.epsilon, config.beta_2, config.l2, config.learning_rate) == (0.0, 0.0, 0.0, 1e-3)
    assert not config.nesterov and config.ema == 0.9999


def test_the_default_is_short_on_small_images_and_says_so():
    part = Arrays(np.broadcast_to(np.zeros([1], np.uint8), (6000, SIZE, SIZE, 3)), np.arange(6000) % CLASSES)
    many = Source("many", tuple("abc"), (SIZE, SIZE, 3), {"train": part, "test": part})  # steps enough for 15 epochs
    info = dataclasses.replace(TINY, recipe="resnet_cifar")
    plan = training.plan(info, many)
    assert (plan.recipe, plan.config.epochs, plan.asked) == ("resnet_cifar", 15, ())
    assert "15 epochs, not 164" in plan.reason
    assert training.plan(info, many, epochs=164).config.epochs == 164
    asked = training.plan(info, many, recipe="resnet_cifar")
    assert asked.config.epochs == 164 and asked.reason.endswith("1 epoch of warm-up")


def test_a_published_coefficient_is_l2_where_the_recipe_has_l2():
    info = dataclasses.replace(TINY, recipe="mobilenet", weight_decay=1e-5, input_shape=(224, 224, 3))
    config = training.plan(info, dataclasses.replace(colors(), image_shape=(224, 224, 3))).config
    assert (config.l2, config.weight_decay) == (1e-5, 0.0)


@pytest.mark.parametrize(
    ("task", "fields", "words"),
    [
        ("segmentation", {"recipe": "a1"}, "for segmentation"),
        ("segmentation", {"recipe": "swin"}, "for segmentation"),
        ("segmentation", {"loss": "binary"}, "segmentation are trained with loss=softmax. Received: loss=binary"),
        ("classification", {"recipe": "segmentation"}, "for classification"),
        ("classification", {"recipe": "cifar", "warmup_epochs": 20.0}, "warmup_epochs must be in"),
        ("classification", {"recipe": "cifar", "epsilon": 1e-3}, "epsilon is not of optimizer=sgd"),
        ("classification", {"recipe": "darts", "clip_value": 1.0}, "clip_value cannot be used beside clip_norm"),
        ("classification", {"recipe": "cifar", "label_threshold": 0.2}, "label_threshold is for loss=binary only"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_by_the_plan(task, fields, words):
    source = dataclasses.replace(colors(), task=task)
    with pytest.raises(InputError, match=words):
        training.plan(dataclasses.replace(TINY, task=task), source, **fields)


def test_more_batches_to_a_step_than_there_are(tmp_path):
    plan = training.plan(TINY, colors(), recipe="cifar", epochs=1, batch_size=8, accumulate=4)
    with pytest.raises(
        InputError, match=r"accumulate must be at most the \d batches of the run.*Received: accumulate=4"
    ):
        training.train(network, colors(), plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()
