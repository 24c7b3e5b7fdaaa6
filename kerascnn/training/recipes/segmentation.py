"""Networks for semantic segmentation."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "segmentation": Recipe(
        TrainConfig(
            batch_size=8,
            epochs=50,
            learning_rate=0.05,
            momentum=0.9,
            nesterov=True,
            schedule="poly",
            warmup_epochs=1.0,
            weight_decay=1e-3,  # L2 1e-4
            augment="scale_crop_flip",
        ),
        source="Chen et al. 2017 (arXiv:1706.05587), section 4: momentum 0.9, a rate that falls as the poly rule "
        "of power 0.9, random scales from 0.5 to 2 and flips. Their batch of 16 and rate of 0.007 are for a "
        "backbone trained on ImageNet; from scratch on small sets, batches of 8 at 0.05 with Nesterov's "
        "momentum and a warm-up learn faster (tried on the shapes of `kerascnn.data`). L2 1e-4 as for the "
        "ResNets that they start from.",
        networks="networks for semantic segmentation",
    )
}
