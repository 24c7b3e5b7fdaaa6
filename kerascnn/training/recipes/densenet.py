"""DenseNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "densenet": Recipe(
        TrainConfig(
            batch_size=64,
            epochs=300,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(0.5, 0.75),
            decay_rate=0.1,
            weight_decay=0.001,
            augment="pad_crop_flip",
        ),
        source="Huang et al. 2016 (arXiv:1608.06993), section 4.2: batch 64, 300 epochs, rate 0.1, divided by 10 "
        "after "
        "50 % and 75 %, L2 1e-4, Nesterov momentum 0.9, pad-crop and flip.",
        networks="DenseNet on CIFAR",
        reported="DenseNet-BC (k = 40, 190 layers): 3.46 % on CIFAR-10",
        usual_epochs=15,
        fine_tuning="cifar",
    ),
    "densenet_imagenet": Recipe(
        TrainConfig(
            batch_size=256,
            epochs=90,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            schedule="step",
            milestones=(0.3333333333333333, 0.6666666666666666),
            decay_rate=0.1,
            weight_decay=0.001,
            augment="random_resized_crop",
        ),
        source="Huang et al. 2016 (arXiv:1608.06993), section 4.2: batch 256, 90 epochs, rate 0.1, divided by 10 "
        "after "
        "30 and 60, L2 1e-4, Nesterov momentum 0.9; images as in fb.resnet.torch.",
        networks="DenseNet on ImageNet",
        reported="DenseNet-121: top-1 25.02, top-5 7.71 % (1 crop)",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}
