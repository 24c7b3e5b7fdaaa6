"""Photographs, and what a network that was trained on ImageNet takes them for.

    pip install 'kerascnn[pretrained]' scikit-image
    python examples/pretrained.py            # or: python examples/pretrained.py photo.jpg another.png

Time: about 10 seconds. Result: pretrained.png, each photograph beside its five most probable classes; the cat is a
tiger cat, an Egyptian cat or a tabby, the cup an espresso, the rocket a missile. Nothing is fetched.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

import kerascnn

NAMES = ("chelsea.png", "coffee.png", "rocket.jpg")  # of scikit-image: a cat, a cup, a rocket


def photographs():
    """The files of the command line, else three of scikit-image."""
    if sys.argv[1:]:
        return [Path(name) for name in sys.argv[1:]]
    import skimage

    return [Path(skimage.__file__).parent / "data" / name for name in NAMES]


model = kerascnn.create_model("efficientnet_lite0", weights="imagenet")
names = [name for _, name in kerascnn.applications.imagenet_classes()]
predictor = kerascnn.inference.Predictor.from_model(model, names)
found = kerascnn.inference.predict(photographs(), predictor)

figure = Figure(figsize=(4 * len(found), 4.2), layout="constrained")
for axes, prediction in zip(figure.subplots(2, len(found), squeeze=False).T, found, strict=True):
    axes[0].imshow(Image.open(prediction.path))
    axes[0].set_axis_off()
    labels = [name.replace("_", " ") for name in prediction.classes]
    bars = axes[1].barh(labels, prediction.probabilities, color="tab:blue")
    axes[1].bar_label(bars, [f"{value:.1%}" for value in prediction.probabilities], padding=3)
    axes[1].set(xlim=(0, 1.15), xticks=[])
    axes[1].invert_yaxis()
    axes[1].spines[["top", "right", "bottom"]].set_visible(False)
    print(Path(prediction.path).name, *(f"{n} {p:.1%}" for n, p in zip(labels, prediction.probabilities, strict=True)))
figure.savefig("pretrained.png", dpi=100)
