"""Trains a ResNeXt-50 from a script: Keras' own fit under tf.distribute, on data that needs no network.

    python examples/train_resnext.py

Time: about three minutes on two cores. Result: about 93 % accuracy on the 360 held-out digits.
"""

import keras
import tensorflow as tf

import kerascnn

source = kerascnn.data.load("digits")  # 1,797 handwritten digits, shipped with the package
info = kerascnn.model_info("resnext50_32x4d")
shape, epochs = (32, 32, 1), 10
settings = {"image_shape": shape, "preprocessing": info.preprocessing.for_channels(1), "batch_size": 64}
train, steps = kerascnn.data.train_pipeline(source, **settings, epochs=epochs)
test = kerascnn.data.eval_pipeline(source, "test", **settings, keep=True)

with tf.distribute.MirroredStrategy().scope():  # every GPU, or the CPU
    model = kerascnn.applications.ResNeXt50(input_shape=shape, classes=10)
    rate = keras.optimizers.schedules.CosineDecay(0.0, epochs * steps, warmup_target=0.05, warmup_steps=steps)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, epochs=epochs, steps_per_epoch=steps, validation_data=test)
model.save("resnext50_digits.keras")
