"""Runs a torchvision or timm network with random weights and statistics, and records all of it for a comparison.

    python tools/peer_forward.py timm resnext50_32x4d resnext50.npz --size 224

About 5 seconds and a file of 100 MB for a ResNet-50. Needs torch, torchvision and timm, not TensorFlow; tests/ runs it
in the interpreter that KERASCNN_PEERS_PYTHON names, where torch is not importable beside TensorFlow.

The file holds `state/<name>` for every entry of the state dict, `input` [n, 3, size, size], `output` [n, classes] in
evaluation mode, as `features` what its classifier is given, [n, channels] or [n, channels, h, w], and `versions`.
Networks of segmentation have their auxiliary head; their `output` is [n, classes, size, size], and so is that of the
head, `auxiliary`.
"""

import argparse
import json
import tempfile

import numpy as np
import torch

SECOND_HEADS = ("aux_classifier", "head_dist")  # of segmentation, and for distillation; beside the one that is watched


def build(library: str, name: str, **options) -> torch.nn.Module:
    """A network of a library by name, with its own initial weights."""
    if library == "timm":
        import timm

        return timm.create_model(name, pretrained=False, **options)
    import torchvision

    if name in torchvision.models.list_models(module=torchvision.models.segmentation):
        options = {"weights_backbone": None, "aux_loss": True, **options}
    return torchvision.models.get_model(name, weights=None, **options)


def randomize(model: torch.nn.Module) -> None:
    """Random weights, and batch statistics as a trained network might have: no mean 0, no variance 1, scales > 0."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.GroupNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, std=0.2)
    for parameter in model.parameters():  # heads, biases, tokens and norms of transformers begin with one value
        if parameter.numel() > 1 and parameter.min() == parameter.max():
            torch.nn.init.normal_(parameter, parameter.min().item(), 0.2)


def adapted(model: torch.nn.Module, name: str, channels: int) -> torch.nn.Module:
    """The network for another number of channels, as timm loads a published file into it."""
    import timm

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/three.pth"
        torch.save(model.state_dict(), path)
        options = {"in_chans": channels, "pretrained_cfg_overlay": {"file": path}}
        return timm.create_model(name, pretrained=True, **options).eval()


def watched(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A dictionary that will hold as "features" what the model's last dense layer or convolution was given."""
    seen: dict[str, torch.Tensor] = {}

    def keep(module, inputs, output):
        seen["features"] = inputs[0].clone()

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and not name.startswith(SECOND_HEADS):
            module.register_forward_hook(keep)
    return seen


def forward(
    library: str,
    name: str,
    *,
    size: int = 224,
    batch: int = 1,
    seed: int = 0,
    channels: int = 3,
    options: str = "{}",
    state: str = "",
) -> dict[str, np.ndarray]:
    """Builds, randomizes and runs a network.

    Args:
        library: "torchvision" or "timm".
        name: the library's name of the network.
        size: height and width of the input.
        batch: number of random images.
        seed: of weights and images.
        channels: of the images; where they are not 3, timm adapts the weights of the network for 3, which are returned.
        options: of the library's network, as JSON.
        state: a `.safetensors` file whose entries it must have, all of them and no others, instead of random ones.

    Returns:
        The arrays that the module's docstring lists; without the state dict where `state` is given.
    """
    torch.manual_seed(seed)
    model = build(library, name, **json.loads(options)).eval()
    if state:
        import safetensors.torch

        model.load_state_dict(safetensors.torch.load_file(state), strict=True)
    else:
        randomize(model)
    images = torch.randn(batch, channels, size, size)
    run = model if channels == 3 else adapted(model, name, channels)
    seen = watched(run)
    with torch.no_grad():
        output = run(images)
    arrays = {} if state else {f"state/{key}": value.numpy() for key, value in model.state_dict().items()}
    if isinstance(output, dict):
        arrays["auxiliary"], output = output["aux"].numpy(), output["out"]
    versions = f"torch {torch.__version__}, {library} {__import__(library).__version__}"
    found = {"input": images.numpy(), "features": seen["features"].numpy(), "output": output.numpy()}
    return {**arrays, **found, "versions": np.array(versions)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=("torchvision", "timm"))
    parser.add_argument("name", help="the library's name of the network")
    parser.add_argument("out", help="the .npz file to write")
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--batch", type=int, default=1, help="number of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--channels", type=int, default=3, help="of the images; timm adapts the weights")
    parser.add_argument("--options", default="{}", help="of the library's network, as JSON")
    parser.add_argument("--state", default="", help="a .safetensors file to load instead of random weights")
    options = vars(parser.parse_args())
    library, name, out = (options.pop(key) for key in ("library", "name", "out"))
    np.savez(out, **forward(library, name, **options))


if __name__ == "__main__":
    main()
