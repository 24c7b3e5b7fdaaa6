"""What captum and pytorch-grad-cam say of a timm network with given weights; for tools/explain_parity.py.

    python tools/explain_peers.py resnet18 state.safetensors images.npy out.npz --layer layer4 --settings settings.json

Seconds for a network of 64x64 pixels. Needs torch, timm, captum and pytorch-grad-cam, not TensorFlow. Double precision,
so that no ReLU near 0 is on at one side and off at the other. What is written has channels last: `<method>` for each.
"""

import argparse
import importlib.metadata
import json

import numpy as np
import timm
import torch
from captum import attr
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
from safetensors.torch import load_file


class Bound(torch.nn.Module):
    """min(x, bound): with a ReLU before it, ReLU6 as captum's rules can see it."""

    def forward(self, x):
        return x.clamp(max=6.0)


def visible(module: torch.nn.Module) -> None:
    """ReLUs as modules that do not work in place, which captum's hooks need."""
    for name, child in module.named_children():
        if isinstance(child, torch.nn.ReLU6):
            setattr(module, name, torch.nn.Sequential(torch.nn.ReLU(), Bound()))
        elif isinstance(child, torch.nn.ReLU):
            child.inplace = False
        else:
            visible(child)


def as_map(kind: str, grid: list[int]):
    """What pytorch-grad-cam calls a reshape transform: to [n, channels, rows, columns]."""
    if kind == "tokens":
        return lambda x: x[:, -grid[0] * grid[1] :].reshape(len(x), *grid, -1).permute(0, 3, 1, 2)
    return (lambda x: x.permute(0, 3, 1, 2)) if kind == "last" else None


def class_maps(model, layer, images, target, scale, kind, grid) -> dict[str, torch.Tensor]:
    """The weighted sums of Grad-CAM and Grad-CAM++, before anything is scaled.

    The score is multiplied by `scale`, since Grad-CAM++ adds 1e-6 to a denominator of squared gradients there.
    """
    found = {}
    for name, method in (("grad_cam", GradCAM), ("grad_cam_plus_plus", GradCAMPlusPlus)):
        with method(model=model, target_layers=[layer], reshape_transform=as_map(kind, grid)) as cam:
            goals = [lambda output: scale * output[target]] * len(images)
            cam(input_tensor=images, targets=goals)
            seen, slopes = cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0]
            given = (images, layer, goals, seen.cpu().numpy(), slopes.cpu().numpy(), False)
            found[name] = torch.as_tensor(np.maximum(cam.get_cam_image(*given), 0))
    return found


def explanations(model, layer, images, settings) -> dict[str, np.ndarray]:
    """All methods on one network, channels last."""
    target = settings["target"]
    window, stride = settings["window"], settings["stride"]
    found = {
        "gradients": attr.Saliency(model).attribute(images, target, abs=False),
        "integrated_gradients": attr.IntegratedGradients(model).attribute(
            images, torch.zeros_like(images), target, n_steps=settings["steps"], method="gausslegendre"
        ),
        "occlusion": attr.Occlusion(model).attribute(
            images, (3, window, window), (3, stride, stride), baselines=0, target=target
        )[:, 0],
    }
    if any(isinstance(module, torch.nn.ReLU) for module in model.modules()):
        found["guided_backprop"] = attr.GuidedBackprop(model).attribute(images, target)
        found["deconvnet"] = attr.Deconvolution(model).attribute(images, target)
        guided = attr.GuidedGradCam(model, layer).attribute(images, target, interpolate_mode="bilinear")
        found["guided_grad_cam"] = guided
    found |= class_maps(model, layer, images, target, settings["scale"], settings["kind"], settings["grid"])
    return {
        name: (x.movedim(1, -1) if x.ndim == 4 else x).detach().numpy().astype("float32") for name, x in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="timm's name of the network")
    parser.add_argument("state", help="a .safetensors file with all its weights")
    parser.add_argument("images", help="a .npy file, [n, height, width, 3]")
    parser.add_argument("out", help="the .npz file to write")
    parser.add_argument("--layer", required=True, help="the module whose output Grad-CAM takes")
    parser.add_argument("--settings", required=True, help="a JSON file: target, window, stride, steps, ...")
    args = parser.parse_args()
    with open(args.settings) as file:
        settings = json.load(file)
    torch.manual_seed(0)
    model = timm.create_model(args.name, pretrained=False, **settings["options"]).eval()
    model.load_state_dict(load_file(args.state), strict=True)
    visible(model)
    model.double()
    images = torch.as_tensor(np.load(args.images)).permute(0, 3, 1, 2).double().contiguous()
    found = explanations(model, model.get_submodule(args.layer), images, settings)
    packages = ("captum", "grad-cam", "torch", "timm")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    np.savez(args.out, versions=versions, **found)


if __name__ == "__main__":
    main()
