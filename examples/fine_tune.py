"""Fine-tunes a network that knows ImageNet on images of one's own, a folder a class, with a plain `compile` and `fit`.

    pip install 'kerascnn[pretrained]' scikit-image
    python examples/fine_tune.py             # or: python examples/fine_tune.py FOLDER

Time: one to two minutes on two cores. Result: fine_tuned.keras, which names all crops
that were held out for testing right.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import kerascnn
from kerascnn import data, surgery, training


def crops(size=96):
    """Forty random squares of each of three photographs of scikit-image: a cat, a cup, a rocket."""
    import skimage

    rng, images = np.random.default_rng(0), []
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        photograph = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB"))
        corners = (rng.integers(0, length - size, 40) for length in photograph.shape[:2])
        images += [photograph[y : y + size, x : x + size] for y, x in zip(*corners, strict=True)]
    return data.from_arrays({"train": (np.stack(images), np.repeat(np.arange(3), 40))}, ("cat", "cup", "rocket"))


source = data.load(sys.argv[1]) if sys.argv[1:] else crops()
chosen = training.finetuning_plan(kerascnn.model_info("efficientnet_lite0"), source, image_size=128, domain="similar")
plan, config = chosen.plan, chosen.plan.config
kind = {"classes": len(source.class_names), "input_shape": plan.shape, "classifier_activation": None}
model = kerascnn.create_model(plan.network, weights="imagenet", **kind)
surgery.freeze(model, config.freeze)
images = {"image_shape": plan.shape, "preprocessing": kerascnn.model_preprocessing(model)}
batches, steps = data.train_pipeline(
    source, batch_size=config.batch_size, augment=config.augment, epochs=config.epochs, **images
)
validation, test = (data.eval_pipeline(source, part, batch_size=64, **images) for part in ("validation", "test"))

optimizer = training.optimizers.build(config, training.schedules.learning_rate(config, steps), model)
model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(batches, epochs=config.epochs, steps_per_epoch=steps, validation_data=validation, verbose=2)
print(chosen.reason)
print("test:", model.evaluate(test, verbose=0, return_dict=True))
model.save("fine_tuned.keras")
