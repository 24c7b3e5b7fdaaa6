"""Residual networks, as first published."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "resnet": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=120,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.25, 0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.001,
            augment="random_resized_crop",
        ),
        source="He et al. 2015 (arXiv:1512.03385), section 3.4: batch 256, rate 0.1, divided by 10 when the error "
        "stalls, up to 600,000 steps (120 epochs), momentum 0.9, L2 1e-4. Departures: it falls at each quarter "
        "(every 30 epochs, as in fb.resnet.torch); random areas as there in place of shorter sides of 256 to 480 "
        "pixels, and no noise of colors.",
        networks="ResNet on ImageNet",
        reported="ResNet-50: top-1 24.7, top-5 7.8 % (KaimingHe/deep-residual-networks); 10 crops: 22.85, 6.71",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "resnet_cifar": Recipe(
        TrainConfig(
            batch_size=128,
            epochs=164,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=False,
            schedule="step",
            milestones=(0.5, 0.75),
            decay_rate=0.1,
            warmup_epochs=1.0,
            weight_decay=0.001,
            augment="pad_crop_flip",
        ),
        source="He et al. 2015 (arXiv:1512.03385), section 4.2: batch 128, rate 0.1, divided by 10 after 32,000 and "
        "48,000 of 64,000 steps (164 epochs of 50,000 images), momentum 0.9, L2 1e-4, pad-crop and flip. "
        "Departure: all warm up for an epoch, where they did so with 110 layers alone.",
        networks="ResNet and pre-activated ResNet on CIFAR",
        reported="ResNet-20: 8.75 %, ResNet-110: 6.43 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}
