"""GoogLeNet."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "googlenet": Recipe(
        TrainConfig(
            batch_size=32,
            epochs=60,
            learning_rate=0.01,
            momentum=0.9,
            nesterov=False,
            ema=0.9999,
            schedule="every",
            decay_every=8.0,
            decay_rate=0.96,
            weight_decay=0.002,
            augment="random_resized_crop",
        ),
        source="Szegedy et al. 2014 (arXiv:1409.4842), section 6: momentum 0.9, a rate that falls by 4 % every 8 "
        "epochs, averaged weights at the end, crops of 8 to 100 % of the area and ratios of 3/4 to 4/3; auxiliary "
        "heads (section 5). The paper names neither batch nor rate, epochs or L2: 32, 0.01, 60 (2.4 million steps) "
        "and 2e-4 are those of BVLC's GoogLeNet for Caffe (quick_solver.prototxt, which falls otherwise); nor what "
        "is kept of the average, 0.9999 is Inception v3's. Departures: steps are synchronized; no photometric "
        "distortions.",
        networks="GoogLeNet on ImageNet",
        reported="top-5 10.07 % (1 net, 1 crop)",
        options={"auxiliary_heads": True},
        small_images="cifar_plain",
        fine_tuning="imagenet_plain",
    ),
}
