"""NASNet on CIFAR."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "nasnet_cifar": Recipe(
        TrainConfig(
            batch_size=32,
            epochs=600,
            learning_rate=0.025,
            momentum=0.9,
            nesterov=False,
            clip_norm=5.0,
            schedule="cosine",
            weight_decay=0.005,
            augment="pad_crop + flip + cutout(0.5)",
        ),
        source="Zoph et al. 2017 (arXiv:1707.07012), section 4 and appendices A.5 and A.6: one period of the cosine, "
        "momentum 0.9, L2 decay, scheduled drop-path, cutout of 16 pixels in the best figures. From the authors' code "
        "(tensorflow/models, research/slim/nets/nasnet/nasnet.py): 937,500 steps of batch 32, rate 0.025, L2 5e-4, "
        "gradients clipped at 5, an auxiliary head with 0.4, paths kept with 0.6.",
        networks="NASNet-A and its like on CIFAR",
        reported="NASNet-A (7 @ 2304) with cutout: 2.40 % on CIFAR-10",
        options={"drop_path_rate": 0.4, "auxiliary_heads": True},
        usual_epochs=15,
        fine_tuning="cifar",
    ),
}
