"""Trains a small FCN-8s to segment generated shapes with Keras' own fit, measures it and draws what it finds.

    python examples/segment_shapes.py

Time: 4 minutes on two cores of an AMD EPYC. Result: mean IoU 87.1 %, pixel accuracy 96.7 % of the 128 test images
(2026-11-27, TensorFlow 2.21.0); predictions.png shows images, true masks and predictions.
"""

import keras

import kerascnn
from kerascnn import data, evaluation
from kerascnn.tasks import losses, metrics

source = data.load("shapes")  # 1,024 images with exact masks, and 128 for testing, made on the spot
info = kerascnn.model_info("fcn8s_vgg11_bn_small")
settings = {"image_shape": source.image_shape, "preprocessing": info.preprocessing}
epochs, classes = 8, len(source.class_names)
train, steps = data.train_pipeline(source, **settings, batch_size=8, epochs=epochs)
test = data.eval_pipeline(source, "test", **settings, batch_size=32)

model = kerascnn.create_model(info.name, input_shape=source.image_shape, classes=classes)
rate = keras.optimizers.schedules.PolynomialDecay(0.05, epochs * steps, end_learning_rate=0, power=0.9)
model.compile(
    keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    losses.PixelCrossentropy(from_logits=False),  # pixels whose mask is 255 do not count
    metrics=[metrics.MeanIoU(classes)],
    jit_compile=False,  # XLA compiles for minutes on a CPU
)
model.fit(train, epochs=epochs, steps_per_epoch=steps, validation_data=test, shuffle=False)

report = evaluation.evaluate_segmentation(model, test, source.class_names)
print(report.heading)
for name, iou in zip(source.class_names, report.iou, strict=True):
    print(f"  {name:12} IoU {iou:.2%}")
images, masks = next(iter(test))
shown = source.split("test").first(8, 0)
found = model.predict_on_batch(images[:8]).argmax(axis=-1)
evaluation.plot_segmentation(shown.pixels, shown.masks, found, source.class_names, "predictions.png")
