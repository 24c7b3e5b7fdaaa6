"""What the words share that change images: fgsm, pgd and lbfgs."""

from collections.abc import Callable
from typing import Any

from kerascnn.cli.naming import class_number, pictures
from kerascnn.cli.seeing.word import Request


def run_with(attack: Callable[..., Any], request: Request, *options: str) -> list[str]:
    """Attacks the images; writes each changed one as a PNG of whole pixels, a picture of all, and the arrays.

    Args:
        attack: `explain.fgsm`, or a function like it.
        request: the command's.
        *options: flags that become arguments of the attack.
    """
    import numpy as np
    from PIL import Image

    from kerascnn import explain
    from kerascnn._files import atomic_write, replace_with

    predictor, names = request.predictor, list(request.predictor.class_names)
    given: dict[str, Any] = request.options(*options)
    if request.values["target"] is not None:
        given["target"] = class_number(request.values["target"], names)
    found = attack(predictor.model, request.images, preprocessing=predictor.preprocessing, **given)
    written = pictures(request.files, found.method)
    for name, pixels in zip(written, found.pixels, strict=True):
        whole = np.clip(np.rint(pixels), 0, 255).astype("uint8")
        with replace_with(request.folder / name) as temporary:
            Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole).save(temporary, format="PNG")
    explain.draw_adversarial(found, request.folder / f"{found.method}_sheet.png", class_names=names)
    with atomic_write(request.folder / f"{found.method}.npz", "wb") as file:
        np.savez(
            file, images=found.images, changes=found.changes, before=found.before, after=found.after,
            goal=found.goal, success=found.success,
        )  # fmt: skip
    return [*written, f"{found.method}_sheet.png", f"{found.method}.npz"]
