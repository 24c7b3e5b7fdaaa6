"""MobileNets."""

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

RECIPES = {
    "mobilenet": Recipe(
        TrainConfig(
            batch_size=96,
            epochs=200,
            optimizer="rmsprop_tf",
            learning_rate=0.045,
            momentum=0.9,
            nesterov=False,
            epsilon=1.0,
            beta_2=0.9,
            ema=0.9999,
            schedule="every",
            decay_every=1.0,
            decay_rate=0.98,
            l2=4e-05,
            augment="random_resized_crop",
        ),
        source="Sandler et al. 2018 (arXiv:1801.04381), section 6.1: RMSProp of TensorFlow with decay and "
        "momentum 0.9, "
        "L2 4e-5, rate 0.045, times 0.98 each epoch, batch 96; Howard et al. 2017 (arXiv:1704.04861), section "
        "3.2, trained the first MobileNet alike. Epsilon 1 and averaged weights are those of the authors' code "
        "(TF-Slim). Departures: 16 replicas were not synchronized; the paper names no number of epochs, after 200 "
        "the rate has fallen to 2 %.",
        networks="MobileNet, MobileNetV2",
        reported="MobileNetV2: top-1 28.0 %",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}
