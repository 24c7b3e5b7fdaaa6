"""Whether images that deceive one network deceive others."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check, _figures
from kerascnn._errors import InputError
from kerascnn.explain.adversarial import Adversarial, Attack, fgsm
from kerascnn.explain.pixel_box import PixelBox


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Errors of networks on images that were made against each of them."""

    names: tuple[str, ...]
    clean: np.ndarray  # float64 [networks]: part of the images, as they are, that each network gets wrong
    errors: np.ndarray  # float64 [networks, networks]: [i, j]: made against i, asked of j
    images: int


def transfer(
    models: Mapping[str, keras.Model],
    pixels: npt.ArrayLike,
    labels: Any,
    *,
    attack: Callable[..., Adversarial] = fgsm,
    batch_size: int = 32,
    **options: Any,
) -> Transfer:
    """Attacks each network, and asks all of them about what came out, each through its own preprocessing.

    Source: Szegedy et al. 2013, arXiv:1312.6199, section 4.2.

    Args:
        models: by name; of one input size, one number of channels and the same classes.
        pixels: [n, height, width, channels] of 0 to 255, of the networks' size.
        labels: the true classes, one an image.
        attack: `fgsm`, `pgd`, or a function like them.
        batch_size: images at a time.
        **options: of the attack, such as `epsilon=8`.

    Returns:
        A `Transfer`.

    Raises:
        InputError: an argument cannot be used, or networks differ in size or classes.

    Example:

        models = {name: kerascnn.create_model(name, weights="fashion_mnist") for name in ("resnet20", "lenet5")}
        kerascnn.explain.transfer(models, pixels, labels, epsilon=8).errors
    """
    if not isinstance(models, Mapping) or not models or not all(isinstance(name, str) for name in models):
        raise InputError(f"models must be networks by name. Received: {type(models).__name__}")
    if not callable(attack):
        raise _check.refuse("attack", "a function such as kerascnn.explain.fgsm", attack)
    pixels = np.asarray(pixels, "float32")
    if pixels.ndim != 4 or not len(pixels) or not (pixels.min() >= 0 and pixels.max() <= 255):
        raise InputError(f"pixels must be [n, height, width, channels] of 0 to 255. Received: shape {pixels.shape}")
    attacks = {}
    for name, model in models.items():
        box = PixelBox.of(model, pixels.shape[-1])
        attacks[name] = Attack.of(model, box.from_pixels(pixels), labels, None, None, batch_size)
    sizes = {tuple(each.question.model.outputs[0].shape) for each in attacks.values()}
    if len(sizes) > 1:
        raise InputError(f"models must have the same classes. Received: outputs of {sorted(sizes, key=str)}")
    truth = next(iter(attacks.values())).question.target
    clean = np.array([(each.before != truth).mean() for each in attacks.values()])
    errors = np.zeros((len(models), len(models)))
    for i, name in enumerate(models):
        changed = attack(models[name], attacks[name].question.images, labels, batch_size=batch_size, **options).pixels
        for j, each in enumerate(attacks.values()):
            errors[i, j] = (each.classes(each.box.from_pixels(changed)) != truth).mean()
    return Transfer(tuple(models), clean, errors, len(pixels))


def draw_transfer(found: Transfer, path: str | os.PathLike, *, title: str = "") -> None:
    """Writes a PNG: a table in colors, the network that was attacked in rows, that which was asked in columns.

    Args:
        found: of `transfer`.
        path: the PNG.
        title: above the table.

    Raises:
        InputError: `found` is something else.
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    if not isinstance(found, Transfer):
        raise InputError(f"found must be what transfer returns. Received: {type(found).__name__}")
    table = 100 * np.concatenate([found.clean[None], found.errors])
    count = len(found.names)
    figure = Figure(figsize=(10, 1.6 + 0.55 * (count + 1)), dpi=100, layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(table, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        color = "black" if value > 60 else "white"
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=color, fontsize=10)
    axes.set_xticks(range(count), [name[:24] for name in found.names])
    axes.set_yticks(range(count + 1), ["as they are", *(f"against {name[:24]}" for name in found.names)])
    axes.set_xlabel("asked")
    figure.colorbar(shown, ax=axes, label="errors, %")
    axes.set_title(title or f"errors on {found.images} images", fontsize=11)
    _figures.save(figure, path)
