"""What a type checker tells a user of the public names; read by pyright in `make lint`, never run."""

from typing import assert_type

import keras
import tensorflow as tf

import kerascnn
from kerascnn._preprocessing import Preprocessing
from kerascnn.applications import ModelInfo
from kerascnn.data import Source
from kerascnn.training import TrainConfig

names = kerascnn.list_models("*resnet*", family="resnet", pretrained=None)
assert_type(names, list[str])

info = kerascnn.model_info(names[0])
assert_type(info, ModelInfo)
assert_type(info.preprocessing, Preprocessing)
assert_type(info.input_shape, tuple[int, int, int])

model = kerascnn.create_model("resnet18", classes=10, input_shape=(64, 64, 3))
assert_type(model, keras.Model)
assert_type(kerascnn.fully_convolutional(model), keras.Model)

source = kerascnn.data.load("digits", limit=64)
assert_type(source, Source)
assert_type(source.class_names, tuple[str, ...])
batches, steps = kerascnn.data.train_pipeline(
    source, image_shape=(32, 32, 1), preprocessing=info.preprocessing, batch_size=16, augment="none"
)
assert_type(batches, tf.data.Dataset)
assert_type(steps, int)

config = TrainConfig(epochs=2, learning_rate=0.1)
assert_type(config.epochs, int)
assert_type(kerascnn.layers.Conv2D(8, 3, groups=2), kerascnn.layers.Conv2D)
