"""Inception v3 and v4, Inception-ResNet, MobileNet: trained by RMSProp with the constants of TF-Slim.

They are the defaults of `train_image_classifier.py` in tensorflow/models (research/slim): decay and momentum 0.9,
epsilon 1 within the root, L2 4e-5, and weights averaged by 0.9999.
"""

import dataclasses

from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes.recipe import Recipe

_SLIM = TrainConfig(
    batch_size=32,
    epochs=100,
    optimizer="rmsprop_tf",
    learning_rate=0.045,
    momentum=0.9,
    nesterov=False,
    epsilon=1.0,
    beta_2=0.9,
    ema=0.9999,
    schedule="every",
    decay_every=2.0,
    decay_rate=0.94,
    l2=4e-5,
    label_smoothing=0.1,
    augment="random_resized_crop",
)

RECIPES = {
    "inception_v3": Recipe(
        dataclasses.replace(_SLIM, clip_norm=2.0),
        source="Szegedy et al. 2015 (arXiv:1512.00567), section 8: RMSProp with decay 0.9 and epsilon 1, rate 0.045 "
        "for batches of 32, times 0.94 every two epochs, gradients clipped at 2.0, 100 epochs, averaged weights; "
        "labels smoothed by 0.1 (section 7); auxiliary head. Szegedy et al. 2016 (arXiv:1602.07261), section 4, "
        "trained v4 and Inception-ResNet alike. Momentum 0.9 and the average of 0.9999 are those of the authors' code "
        "(inception_train.py), L2 4e-5 that of TF-Slim. Departures: they had 50 replicas whose steps were not "
        "synchronized; no distortion of colors.",
        networks="Inception v3 and v4, Inception-ResNet",
        reported="top-1 21.2, top-5 5.6 % (v3, 1 crop)",
        options={"auxiliary_heads": True},
        small_images="cifar",
        fine_tuning="imagenet",
    ),
    "mobilenet": Recipe(
        dataclasses.replace(_SLIM, batch_size=96, epochs=412, decay_every=2.5, decay_rate=0.98),
        source="Sandler et al. 2018 (arXiv:1801.04381), section 6.1: RMSProp of TensorFlow with decay and momentum "
        "0.9, L2 4e-5, rate 0.045, factor 0.98, batch 96. The authors' command for their 72.0 % (TF-Slim, "
        "nets/mobilenet/README) adds: the factor every 2.5 epochs, where the paper says each epoch, 5.5 million steps "
        "on one GPU (412 epochs), labels smoothed by 0.1, averages of 0.9999; epsilon 1 is TF-Slim's. Howard et al. "
        "2017 (arXiv:1704.04861), section 3.2, trained the first MobileNet by RMSProp too. Departures: the paper's 16 "
        "replicas were not synchronized; no distortion of colors; the first MobileNet had no smoothing, and little or "
        "no decay of depthwise kernels.",
        networks="MobileNet, MobileNetV2",
        reported="MobileNetV2: top-1 28.0 %",
        small_images="cifar",
        fine_tuning="imagenet",
    ),
}
