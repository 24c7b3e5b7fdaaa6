"""The figures of each recipe beside those of its source, as the source has them.

Each row was read from the file or paper that its comment names. Rates are for the source's batch, `l2` is its
coefficient in the loss (of half the squared weights), `decay` a decoupled one, `falls` are the epochs after which the
rate is multiplied by `factor`, `every` the epochs between them; an image set of ImageNet has 1,281,167 images, CIFAR's
50,000. What a row does not name, the source does not.
"""

import pytest

from kerascnn.data import augment
from kerascnn.training import recipes

IMAGENET, CIFAR = 1_281_167, 50_000
# facebookarchive/fb.resnet.torch: train.lua, opts.lua.
TORCH = {"momentum": 0.9, "nesterov": True, "l2": 1e-4, "rate": 0.1, "factor": 0.1}
SLIM = {"momentum": 0.9, "rho": 0.9, "epsilon": 1.0, "l2": 4e-5, "ema": 0.9999}  # train_image_classifier.py
DEIT = {
    "batch": 512, "rate": 5e-4, "epochs": 300, "warmup": 5, "decay": 0.05, "smoothing": 0.1, "schedule": "cosine",
}  # facebookresearch/deit, main.py  # fmt: skip
STRIKES = {"batch": 2048, "schedule": "cosine", "warmup": 5, "cutmix": 1.0}

FIGURES = {
    # Krizhevsky et al. 2012, section 5.
    "alexnet": {"batch": 128, "rate": 0.01, "epochs": 90, "momentum": 0.9, "l2": 5e-4, "factor": 0.1, "times": 3},
    # Zeiler & Fergus 2014, section 3.
    "zfnet": {"batch": 128, "rate": 0.01, "epochs": 70, "momentum": 0.9},
    # Simonyan & Zisserman 2014, section 3.1: 370,000 steps, 74 epochs.
    "vgg": {"batch": 256, "rate": 0.01, "epochs": 74, "momentum": 0.9, "l2": 5e-4, "factor": 0.1, "times": 3},
    # Szegedy et al. 2014, section 6; BVLC/caffe, models/bvlc_googlenet/quick_solver.prototxt.
    "googlenet": {
        "batch": 32, "rate": 0.01, "epochs": 2_400_000 * 32 / IMAGENET, "momentum": 0.9, "l2": 2e-4, "factor": 0.96,
        "every": 8,
    },
    # Ioffe & Szegedy 2015, section 4.2: 30 times Inception's rate, falling six times as fast, a fifth of its L2.
    "bn_inception": {
        "batch": 32, "rate": 30 * 0.0015, "epochs": 6_000_000 * 32 / IMAGENET, "factor": 0.96, "every": 8 / 6,
        "l2": 2e-4 / 5,
    },
    # Szegedy et al. 2015, sections 7 and 8; tensorflow/models, inception_train.py.
    "inception_v3": {
        **SLIM, "batch": 32, "rate": 0.045, "epochs": 100, "factor": 0.94, "every": 2, "clip": 2.0, "smoothing": 0.1,
    },
    # tensorflow/models, research/slim/nets/mobilenet/README.md, with 5.5 million steps on one GPU.
    "mobilenet": {
        **SLIM, "batch": 96, "rate": 0.045, "epochs": 5_500_000 * 96 / IMAGENET, "factor": 0.98, "every": 2.5,
        "smoothing": 0.1,
    },
    # tensorflow/tpu, models/official/efficientnet/main.py and utils.py.
    "efficientnet": {
        "batch": 256, "rate": 0.016, "epochs": 218_949 * 2048 / IMAGENET, "momentum": 0.9, "rho": 0.9, "epsilon": 1e-3,
        "l2": 1e-5, "ema": 0.9999, "warmup": 5, "factor": 0.97, "every": 2.4, "smoothing": 0.1, "drop_path": 0.2,
    },
    # He et al. 2015, section 3.4: 600,000 steps; section 4.2: 64,000, falling after 32,000 and 48,000.
    "resnet": {
        "batch": 256, "rate": 0.1, "epochs": 600_000 * 256 / IMAGENET, "momentum": 0.9, "l2": 1e-4, "factor": 0.1,
    },
    "resnet_cifar": {
        "batch": 128, "rate": 0.1, "epochs": 64_000 * 128 / CIFAR, "momentum": 0.9, "l2": 1e-4, "factor": 0.1,
        "falls": (32_000 * 128 / CIFAR, 48_000 * 128 / CIFAR),
    },
    # facebookarchive/fb.resnet.torch: train.lua, opts.lua; Goyal et al. 2017, section 2.2.
    "imagenet": {
        "batch": 256, "rate": 0.1, "epochs": 90, "momentum": 0.9, "nesterov": True, "l2": 1e-4, "warmup": 5,
        "schedule": "cosine",
    },
    # liuzhuang13/DenseNet: README.md, train.lua.
    "densenet": {**TORCH, "batch": 64, "epochs": 300, "falls": (150, 225)},
    "densenet_imagenet": {**TORCH, "batch": 256, "epochs": 90, "falls": (30, 60)},
    # jhkim89/PyramidNet: README.md.
    "pyramidnet": {**TORCH, "batch": 128, "epochs": 300, "falls": (150, 225)},
    # yueatsprograms/Stochastic_Depth: main.lua.
    "stochastic_depth": {**TORCH, "batch": 128, "epochs": 500, "falls": (250, 375)},
    # xgastaldi/shake-shake: README.md, opts.lua, train.lua.
    "shake_shake": {
        "batch": 128, "rate": 0.2, "epochs": 1800, "momentum": 0.9, "nesterov": True, "l2": 1e-4, "schedule": "cosine",
    },
    # uoguelph-mlrg/Cutout: shake-shake/README.md, 16 of 32 pixels.
    "shake_shake_cutout": {"batch": 128, "rate": 0.2, "epochs": 1800, "cutout": 16 / 32},
    # szagoruyko/wide-residual-networks: scripts/train_cifar.sh, train.lua.
    "wrn": {
        "batch": 128, "rate": 0.1, "epochs": 200, "momentum": 0.9, "nesterov": True, "l2": 5e-4, "factor": 0.2,
        "falls": (60, 120, 160), "mirrored": True,
    },
    # Larsson et al. 2016, section 4 ("whenever the number of remaining epochs halves").
    "fractalnet": {
        "batch": 100, "rate": 0.02, "epochs": 400, "momentum": 0.9, "factor": 0.1, "falls": (200, 300, 350, 375),
        "drop_path": 0.15,
    },
    # quark0/darts: cnn/train.py, cnn/utils.py.
    "darts": {
        "batch": 96, "rate": 0.025, "epochs": 600, "momentum": 0.9, "nesterov": False, "l2": 3e-4, "clip": 5.0,
        "schedule": "cosine", "drop_path": 0.2, "cutout": 16 / 32,
    },
    # tensorflow/models, research/slim/nets/nasnet/nasnet.py: 937,500 steps, paths kept with 0.6. Zoph et al. 2017,
    # appendix A.6: the momentum optimizer with 0.9.
    "nasnet_cifar": {
        "batch": 32, "rate": 0.025, "epochs": 937_500 * 32 / CIFAR, "momentum": 0.9, "nesterov": False, "l2": 5e-4,
        "clip": 5.0, "schedule": "cosine", "drop_path": 1 - 0.6,
    },
    # Coderx7/SimpleNet_Pytorch: Cifar/main.py; Coderx7/SimpNet: cifar10_full_relu_solver_bn.prototxt, train.prototxt.
    "simplenet": {
        "batch": 64, "rate": 0.1, "epochs": 700, "rho": 0.9, "epsilon": 1e-3, "l2": 1e-3, "factor": 0.1,
        "falls": (100, 190, 306, 390, 440, 540),
    },
    "simpnet": {
        "batch": 100, "rate": 0.1, "epochs": 400_000 * 100 / CIFAR, "rho": 0.9, "epsilon": 1e-3, "l2": 5e-3,
        "factor": 0.1,
        "falls": tuple(1000 * x * 100 / CIFAR for x in (50, 95, 153, 195, 220, 270)),
    },
    "vit": DEIT,
    "vit_cifar": DEIT,
    "pit": {**DEIT, "drop_path": 0.1, "randaugment": 9, "mixup": 0.8, "cutmix": 1.0, "erasing": 0.25},
    # microsoft/Swin-Transformer: config.py.
    "swin": {
        **DEIT, "warmup": 20, "clip": 5.0, "drop_path": 0.2, "randaugment": 9, "mixup": 0.8, "cutmix": 1.0,
        "erasing": 0.25,
    },
    # google-research/big_vision: configs/mlp_mixer_i1k.py; 1e-4 of the weights a step at a rate of 1e-3.
    "mixer": {
        "batch": 4096, "rate": 1e-3, "epochs": 300, "warmup": 10_000 * 4096 / IMAGENET, "decay": 1e-4 / 1e-3,
        "clip": 1.0, "drop_path": 0.1, "randaugment": 15, "mixup": 0.5,
    },
    # Wightman et al. 2021, table 2, as in open-mmlab/mmpretrain, configs/resnet/resnet50_8xb256-rsb-a*.py.
    "a1": {
        **STRIKES, "rate": 5e-3, "epochs": 600, "decay": 0.01, "smoothing": 0.1, "drop_path": 0.05, "randaugment": 7,
        "mixup": 0.2,
    },
    "a2": {
        **STRIKES, "rate": 5e-3, "epochs": 300, "decay": 0.02, "smoothing": 0.0, "drop_path": 0.05, "randaugment": 7,
        "mixup": 0.1,
    },
    "a3": {
        **STRIKES, "rate": 8e-3, "epochs": 100, "decay": 0.02, "smoothing": 0.0, "drop_path": 0.0, "randaugment": 6,
        "mixup": 0.1,
    },
}  # fmt: skip


def figures(recipe, batch):
    """Those of a recipe in the sources' terms, its rate for batches of `batch`."""
    config = recipe.config
    changes = {operation.name: operation for operation in augment.parse(config.augment)}
    mixing = changes.get("mixup_or_cutmix")
    return {
        "batch": batch,
        "rate": config.learning_rate * batch / config.batch_size,
        "epochs": config.epochs,
        "momentum": config.momentum,
        "nesterov": config.nesterov,
        "l2": config.l2 or config.weight_decay * (1 - config.momentum),
        "decay": config.weight_decay,
        "schedule": config.schedule,
        "factor": config.decay_rate,
        "falls": tuple(part * config.epochs for part in config.milestones),
        "times": len(config.milestones),
        "every": config.decay_every,
        "warmup": config.warmup_epochs,
        "clip": config.clip_norm,
        "ema": config.ema,
        "smoothing": config.label_smoothing,
        "epsilon": config.epsilon,
        "rho": config.beta_2,
        "drop_path": recipe.options.get("drop_path_rate", 0.0),
        "cutout": getattr(changes.get("cutout"), "part", None),
        "mirrored": getattr(changes.get("pad_crop"), "mode", None) == "reflect",
        "randaugment": getattr(changes.get("randaugment"), "magnitude", None),
        "erasing": getattr(changes.get("random_erasing"), "probability", None),
        "mixup": mixing.mixup if mixing else getattr(changes.get("mixup"), "alpha", None),
        "cutmix": mixing.cutmix if mixing else None,
    }


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name):
    found = figures(recipes.RECIPES[name], FIGURES[name]["batch"])
    # Epochs are whole numbers here, where sources count steps.
    found["epochs"] = pytest.approx(found["epochs"], abs=1)
    found["falls"] = pytest.approx(found["falls"], abs=0.2)
    for key, value in FIGURES[name].items():
        close = pytest.approx(value, rel=5e-3) if isinstance(value, float) else value
        assert found[key] == (value if key in ("epochs", "falls") else close), key


def test_all_recipes_have_their_figures():
    """But those that were chosen here, by measuring."""
    assert set(recipes.RECIPES) - set(FIGURES) == {
        "cifar", "cifar_plain", "imagenet_plain", "lenet", "lenet_1998", "segmentation",
    }  # fmt: skip


def test_classes_of_both_mixed_images_are_there():
    """Wightman et al. 2021, section 3.1; a share below half a level of 255 cannot be seen."""
    for name in ("a1", "a2", "a3"):
        config = recipes.RECIPES[name].config
        assert config.loss == "binary" and 0 < config.label_threshold <= 0.5 / 255 + 1e-4
