"""The other side of tools/bench_explain.py: captum and pytorch-grad-cam on timm's network, called by name on stdin.

Needs torch, timm, captum and pytorch-grad-cam, not TensorFlow. Convolutions are channels last, which is quicker here.
"""

import importlib.metadata
import json
import sys
import time

import timm
import torch
from captum import attr
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget


def main() -> None:
    network, settings = sys.argv[1], json.loads(sys.argv[2])
    torch.manual_seed(0)
    model = timm.create_model(network).eval().to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    shape = (settings["images"], 3, settings["size"], settings["size"])
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    target, batch = settings["target"], settings["batch_size"]
    window, stride = settings["window"], settings["stride"]
    cam = GradCAM(model=model, target_layers=[model.get_submodule("layer4")])
    goals = [ClassifierOutputTarget(target)] * len(images)
    integrated, occlusion = attr.IntegratedGradients(model), attr.Occlusion(model)

    def occluded():
        with torch.no_grad():
            return occlusion.attribute(
                images[:1], (3, window, window), (3, stride, stride), 0, target, perturbations_per_eval=batch
            )

    calls = {
        "grad_cam": lambda: cam(input_tensor=images, targets=goals),
        "integrated_gradients": lambda: integrated.attribute(
            images[:1], 0, target, n_steps=settings["steps"], internal_batch_size=batch
        ),
        "occlusion": occluded,
    }
    packages = ("torch", "timm", "captum", "grad-cam")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        calls[line.strip()]()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
