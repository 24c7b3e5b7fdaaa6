"""Networks without batch norm: before any training, their answers about normalized images differ from image to image.

Initial weights that suit pixels of 0 to 255 fade to logits of 1e-5 on these, and training stays where all are equal.
"""

import numpy as np
import pytest

from kerascnn import applications
from kerascnn.training import recipes

FIRST = ("alexnet", "zfnet", "vgg", "cifar_plain", "imagenet_plain")
NORMALIZED = ("_bn", "se_vgg16", "cbam_vgg16")  # VGG's recipe, but with batch norm
PLAIN = [info for info in map(applications.model_info, applications.list_models()) if info.recipe in FIRST]
PLAIN = [info for info in PLAIN if not info.name.endswith(NORMALIZED)]
CHEAP = {"alexnet_cifar10", "all_cnn_a", "highway_a", "nin_cifar10", "nin_imagenet", "squeezenet1_1", "vgg13_cifar10"}


def test_small_images_never_meet_a_rate_for_batch_norm():
    assert {recipes.choose(info.recipe, 64) for info in PLAIN} == {"cifar_plain"}
    assert {"alexnet", "zfnet", "vgg", "nin", "squeezenet", "all_cnn", "highway"} <= {info.family for info in PLAIN}


@pytest.mark.parametrize(
    "info",
    [pytest.param(info, id=info.name, marks=() if info.name in CHEAP else pytest.mark.after) for info in PLAIN],
)
def test_the_first_answers_have_not_faded(info):
    size = max(info.min_size, 32 if info.input_shape[0] == 32 else 64)
    size = info.input_shape[0] if info.known_size else size
    model = applications.create_model(info.name, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    images = np.random.default_rng(0).normal(size=(8, size, size, 3)).cumsum(1).cumsum(2) / 40
    outputs = model(images.astype("float32"))
    logits = np.asarray(outputs[0] if isinstance(outputs, list) else outputs)
    assert 1e-3 < logits.std(axis=0).mean() < 5
