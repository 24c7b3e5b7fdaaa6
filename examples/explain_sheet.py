"""What a network that was trained on ImageNet looks at: a cat beside a cup, asked for the one and for the other.

    pip install 'kerascnn[pretrained]' scikit-image
    python examples/explain_sheet.py

Time: about two minutes. Result: explain_sheet.png, seven methods for each of the two classes. Grad-CAM lies on the half
that shows the class, and guided Grad-CAM draws what is there; the gradient alone hardly depends on the class.
"""

from pathlib import Path

import numpy as np
import skimage

import kerascnn
from kerascnn import explain
from kerascnn.data.preprocessing import read_image

WANTED = ("tiger cat", "espresso")
model = kerascnn.create_model("efficientnet_lite0", weights="imagenet")
names = [name.replace("_", " ") for _, name in kerascnn.applications.imagenet_classes()]
predictor = kerascnn.inference.Predictor.from_model(model, names)
folder = Path(skimage.__file__).parent / "data"
cat, cup = (predictor.prepare(read_image(folder / name, 3)) for name in ("chelsea.png", "coffee.png"))
quarter = cat.shape[1] // 4
halves = [image[:, quarter:-quarter] for image in (cat, cup)]  # the middle of each
images = np.stack([np.concatenate(halves, axis=1)] * len(WANTED))  # the same image, once for each class

found = [
    explain.occlusion(predictor, images, WANTED, window=64, stride=32),
    explain.gradients(predictor, images, WANTED),
    explain.smoothgrad(predictor, images, WANTED, samples=30),
    explain.integrated_gradients(predictor, images, WANTED, steps=30),
    explain.grad_cam(predictor, images, WANTED),
    explain.grad_cam_plus_plus(predictor, images, WANTED),
    explain.guided_grad_cam(predictor, images, WANTED),
]
for one in found:
    heights = np.maximum(one.maps, 0)
    shares = heights[:, :, : 2 * quarter].sum(axis=(1, 2)) / heights.sum(axis=(1, 2))
    print(f"{one.method:22}", *(f"{name}: {share:.0%} left" for name, share in zip(WANTED, shares, strict=True)))
explain.draw_sheet(found, images, "explain_sheet.png", class_names=names)
