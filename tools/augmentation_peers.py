"""Records what Pillow, torchvision and timm make of small images, and their policies, for the tests of augmentations.

    python tools/augmentation_peers.py

About 10 seconds, into tests/golden/augmentations.npz and augmentation_policies.json. Needs torch, torchvision, timm and
Pillow, not TensorFlow (extra `peers`). A key is NAME(NUMBER, ...)@IMAGE; amounts are those that the peers were given,
where they would draw them in place of their random numbers.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
from PIL import Image
from timm.data import auto_augment as timm_policies
from torchvision import transforms
from torchvision.transforms import InterpolationMode, autoaugment
from torchvision.transforms import functional as F

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
MODES = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR}


def images() -> dict[str, np.ndarray]:
    """Small pictures: smooth with noise, dark with few levels, one color, all colors, gray."""
    random = np.random.RandomState(0)
    y, x = np.mgrid[:20, :24]
    smooth = np.stack([8 * y + 3 * x, 200 - 6 * y + x, 90 + 40 * np.sin(x / 3 + y / 5)], axis=-1)
    smooth = np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    dark = (40 + 9 * random.randint(0, 5, (13, 10, 3)) + [0, 20, 3]).astype(np.uint8)
    noise = random.randint(0, 256, (17, 15, 3)).astype(np.uint8)
    flat = np.full((6, 7, 3), (10, 200, 90), np.uint8)
    return {"smooth": smooth, "dark": dark, "noise": noise, "flat": flat, "gray": smooth[:, :, :1]}


def opened(pixels: np.ndarray) -> Image.Image:
    """An image of Pillow."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def colors(image: Image.Image):
    """(key, image) of each change of color."""
    yield "invert()", F.invert(image)
    yield "autocontrast()", F.autocontrast(image)
    yield "equalize()", F.equalize(image)
    yield "grayscale()", F.to_grayscale(image, 3 if image.mode == "RGB" else 1)
    for bits in (1, 4, 7, 8):
        yield f"posterize({bits})", F.posterize(image, bits)
    for threshold in (0.0, 85.0, 128.0, 246.5, 255.0):
        yield f"solarize({threshold})", F.solarize(image, threshold)
    for amount in (0, 44, 110):
        yield f"solarize_add({amount})", timm_policies.solarize_add(image, amount)
    for factor in (0.0, 0.1, 0.73, 1.0, 1.9):
        yield f"brightness({factor})", F.adjust_brightness(image, factor)
        yield f"contrast({factor})", F.adjust_contrast(image, factor)
        yield f"color({factor})", F.adjust_saturation(image, factor)
        yield f"sharpness({factor})", F.adjust_sharpness(image, factor)
    for turn in (-0.5, -0.1, 0.0, 0.07, 0.4):
        yield f"hue({turn})", F.adjust_hue(image, turn)


def warps(image: Image.Image):
    """(key, image) of each change of place."""
    for name, mode in MODES.items():
        for fill in (0, 128):
            given = {"interpolation": mode, "fill": [fill] * len(image.getbands())}

            def moved(shear=(0.0, 0.0), translate=(0, 0), center=None, given=given):
                return F.affine(image, 0.0, list(translate), 1.0, list(shear), center=center, **given)

            for degrees in (-135.0, -27.0, 9.0, 90.0, 180.0):
                yield f"rotate({degrees}, {name}, {fill})", F.rotate(image, degrees, **given)
            for part in (-0.3, 0.09, 0.99):
                degrees = float(np.degrees(np.arctan(part)))
                yield f"shear_x({part}, {name}, {fill})", moved((degrees, 0.0), center=[0, 0])
                yield f"shear_y({part}, {name}, {fill})", moved((0.0, degrees), center=[0, 0])
            for pixels in (-5, 3, 40):
                yield f"translate_x({pixels}, {name}, {fill})", moved(translate=(pixels, 0))
                yield f"translate_y({pixels}, {name}, {fill})", moved(translate=(0, pixels))


def blurs(image: Image.Image):
    """(key, image) of each blur: size of the kernel, sigma."""
    for size, sigma in ((3, 0.1), (3, 0.8), (5, 2.0)):
        yield f"gaussian_blur({size}, {sigma})", F.gaussian_blur(image, [size, size], [sigma, sigma])


def crops(image: Image.Image):
    """(key, image) of windows that are resized: top, left, height, width, new height, new width."""
    for window in ((0, 0, 13, 10), (2, 1, 9, 8), (3, 4, 4, 3)):
        yield f"resized_crop({window}, (7, 6))", F.resized_crop(image, *window, [7, 6], antialias=True)


def jitters(image: Image.Image):
    """(key, image) of jitter of color: torchvision's, which is given the order and the amounts that it would draw."""
    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    amounts = ((1.3, 0.7, 1.2, -0.08), (0.65, 1.35, 0.9, 0.05), (1.1, 1.2, 0.6, 0.1))
    for order, given in zip(((0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)), amounts, strict=True):
        jitter.get_params = lambda *ranges, order=order, given=given: (torch.tensor(order), *given)
        yield f"color_jitter({order}, {given})", jitter(image)


def mixtures(image: Image.Image):
    """(key, image) of AugMix: torchvision's with Pillow's changes; weights, changes, levels and signs are noted."""
    random, change = np.random.RandomState(2), autoaugment._apply_op
    mix = transforms.AugMix(severity=6, interpolation=InterpolationMode.NEAREST, fill=[0] * len(image.getbands()))
    for _ in range(6):
        own, weights, steps = random.dirichlet([1, 1]).tolist(), random.dirichlet([1] * 3).tolist(), []
        given = [torch.tensor([own]), torch.tensor([weights])]

        def changed(batch, name, magnitude, steps=steps, **how):
            steps.append([name, magnitude])
            return F.pil_to_tensor(change(F.to_pil_image(batch[0]), name, magnitude, **how))[None]

        mix._sample_dirichlet = lambda params, given=given: given.pop(0)
        mix.chain_depth = 2
        torch.manual_seed(random.randint(1000))
        autoaugment._apply_op = changed
        found = mix(image)
        autoaugment._apply_op = change
        parts = [own[1] * weight for weight in weights]
        yield f"augmix({own[0]}, {parts}, {[steps[at : at + 2] for at in (0, 2, 4)]})", found


def sub_policies(image: Image.Image):
    """(key, image) of each sub-policy of AutoAugment, all done that is ever done, in one and in the other direction."""
    for name in ("IMAGENET", "CIFAR10", "SVHN"):
        policy = autoaugment.AutoAugment(autoaugment.AutoAugmentPolicy[name], fill=[0] * len(image.getbands()))
        for row in range(25):
            signs = [row % 2, (row // 2) % 2]  # 0: negated
            policy.get_params = lambda count, row=row, signs=signs: (row, torch.full((2,), 1e-3), torch.tensor(signs))
            yield f"autoaugment('{name.lower().removesuffix('10')}', {row}, {signs})", policy(image)


def policies() -> dict:
    """The sub-policies of AutoAugment, and what the levels of the other three mean."""
    found = {"autoaugment": {}, "levels": {}}
    for name in ("IMAGENET", "CIFAR10", "SVHN"):
        policy = autoaugment.AutoAugment(autoaugment.AutoAugmentPolicy[name])
        found["autoaugment"][name.lower().removesuffix("10")] = policy.policies
    v0 = timm_policies.auto_augment_policy_v0({})
    found["autoaugment"]["v0"] = [[[op.name, op.prob, op.magnitude] for op in pair] for pair in v0]
    kinds = {
        "autoaugment": autoaugment.AutoAugment()._augmentation_space(10, (32, 48)),
        "randaugment": autoaugment.RandAugment()._augmentation_space(31, (32, 48)),
        "trivialaugment": autoaugment.TrivialAugmentWide()._augmentation_space(31),
        "augmix": autoaugment.AugMix()._augmentation_space(10, (32, 48)),
    }
    for name, space in kinds.items():
        found["levels"][name] = {key: [levels.tolist(), signed] for key, (levels, signed) in space.items()}
    found["levels"]["increasing"] = timm_levels(timm_policies._RAND_INCREASING_TRANSFORMS)
    found["levels"]["v0"] = timm_levels(sorted({op.name for pair in v0 for op in pair}))
    return found


def timm_levels(names: list[str]) -> dict:
    """The amounts of levels 0 to 10, None for what has none."""
    found, chosen = {}, timm_policies.random.random
    timm_policies.random.random = lambda: 0.0  # never negated
    for name in names:
        to_argument = timm_policies.LEVEL_TO_ARG[name]
        found[name] = to_argument and [to_argument(level, {"translate_pct": 0.45})[0] for level in range(11)]
    timm_policies.random.random = chosen
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=GOLDEN)
    out = parser.parse_args().out
    kept = {f"image/{name}": pixels for name, pixels in images().items()}
    for name, pixels in images().items():
        groups = [colors]
        groups += [warps] if name in ("dark", "gray") else []
        groups += [blurs, crops] if name in ("smooth", "dark") else []
        groups += [jitters, mixtures, sub_policies] if name == "noise" else []
        for group in groups:
            for key, image in group(opened(pixels)):
                if group is colors and name == "smooth" and key.startswith(("posterize", "solarize")):
                    continue  # these have no need of another picture
                kept[f"{key}@{name}"] = np.asarray(image).reshape(*np.asarray(image).shape[:2], -1)
    shapes = np.array([pixels.shape for pixels in kept.values()], np.int16)
    pixels = np.concatenate([pixels.reshape(-1) for pixels in kept.values()])
    np.savez_compressed(out / "augmentations.npz", keys=np.array(list(kept)), shapes=shapes, pixels=pixels)
    versions = {module.__name__: module.__version__.split("+")[0] for module in (PIL, torch, torchvision, timm)}
    record = {"versions": versions, **policies()}
    (out / "augmentation_policies.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
