"""A backbone for dense prediction: stage outputs of a ResNet-50 whose last stages dilate instead of striding.

    python examples/features.py

Time: seconds. Result: four feature maps; with output_stride=8 the last three have the same size.
"""

import numpy as np

import kerascnn

image = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
x = kerascnn.applications.resnet.preprocess_input(image)
for output_stride in (32, 8):
    backbone = kerascnn.create_model("resnet50", features_only=True, output_stride=output_stride)
    print(f"output_stride={output_stride}")
    for stride, features in zip(backbone.feature_strides, backbone(x), strict=True):
        print(f"  stride {stride:2}: {tuple(features.shape)}")
