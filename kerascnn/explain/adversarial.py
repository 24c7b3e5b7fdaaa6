"""Images that are changed a little so that a network is wrong."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.attacks import anywhere, climb, loss_of
from kerascnn.explain.explanation import Question, ask
from kerascnn.explain.pixel_box import PixelBox
from kerascnn.explain.tiles import draw_tiles

_MOST = 16  # images of a picture


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """Changed images, and what a network says to them."""

    images: np.ndarray  # float32 [n, height, width, channels], as the network takes them
    changes: np.ndarray  # float32, the same shape: what was added, in pixels of 0 to 255
    pixels: np.ndarray  # float32, the same shape: the changed images in pixels, not rounded
    before: np.ndarray  # int64 [n]: the class of each image
    after: np.ndarray  # int64 [n]: that of the changed one
    goal: np.ndarray  # int64 [n]: the class to be reached, or that to be left
    targeted: bool  # which of the two
    method: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def success(self) -> np.ndarray:
        """Whether the class was reached, or left, bool [n]."""
        return (self.after == self.goal) == self.targeted

    @property
    def norms(self) -> np.ndarray:
        """Root of the mean square of each image's change, in pixels of 0 to 255, float64 [n]."""
        return np.sqrt((self.changes.astype("float64") ** 2).mean(axis=(1, 2, 3)))


def fgsm(
    model: keras.Model,
    images: npt.ArrayLike,
    labels: Any = None,
    *,
    target: Any = None,
    epsilon: float = 8.0,
    preprocessing: Preprocessing | None = None,
    batch_size: int = 32,
) -> Adversarial:
    """The fast gradient sign method: one step of `epsilon` along the sign of the gradient of the cross-entropy.

    Source: Goodfellow, Shlens, Szegedy: Explaining and harnessing adversarial examples, 2014, arXiv:1412.6572; to a
    class: Kurakin, Goodfellow, Bengio 2016, arXiv:1607.02533.

    Args:
        model: a functional or built sequential classifier of one image [n, height, width, channels]; it is kept.
        images: a batch, preprocessed as the model takes it.
        labels: the classes to be left, one for all or one an image; None: what the model says.
        target: the class to be reached, one for all or one an image, instead.
        epsilon: the change of each pixel, in pixels of 0 to 255 of the image file. A pixel never leaves that range, and
            one whose gradient is 0 stays.
        preprocessing: what the pixels went through; None: what the model says.
        batch_size: images at a time.

    Returns:
        An `Adversarial`.

    Raises:
        InputError: an argument cannot be used, or it is not known what the pixels went through.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.fgsm(model, images, labels, epsilon=16)
        found.success.mean()
    """
    attack = Attack.of(model, images, labels, target, preprocessing, batch_size)
    epsilon = _check.real("epsilon", epsilon, 0.0, 255.0)
    found = attack.run(attack.question.images, epsilon=epsilon, step=epsilon, steps=1)
    return attack.told(found, "fgsm", {"epsilon": epsilon})


def pgd(
    model: keras.Model,
    images: npt.ArrayLike,
    labels: Any = None,
    *,
    target: Any = None,
    epsilon: float = 8.0,
    step: float = 2.0,
    steps: int = 10,
    random_start: bool = True,
    restarts: int = 1,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    batch_size: int = 32,
) -> Adversarial:
    """Projected gradient descent: steps along the sign of the gradient, each put back into the ball around the image.

    Without a random start it is the basic iterative method (Kurakin, Goodfellow, Bengio 2016, arXiv:1607.02533), and
    one step of `epsilon` is `fgsm`. The defaults are those of the authors' CIFAR-10 release.

    Source: Madry, Makelov, Schmidt, Tsipras, Vladu: Towards deep learning models resistant to adversarial attacks,
    2017, arXiv:1706.06083.

    Args:
        model, images, labels, target, preprocessing, batch_size: see `fgsm`.
        epsilon: the largest change of a pixel, of 0 to 255.
        step: the change of a pixel at each step.
        steps: how many.
        random_start: begin anywhere in the ball, else at the image.
        restarts: ways from different starts, of which the first that succeeds counts, else that of the largest loss; so
            more of them never do less. More than one needs `random_start`.
        seed: of the starts; those of an image do not depend on the batch size.

    Returns:
        An `Adversarial`.

    Raises:
        InputError: see `fgsm`.

    Example:

        model = kerascnn.create_model("lenet5")
        found = kerascnn.explain.pgd(model, images, target=3, epsilon=32, steps=20)
        found.success, found.after
    """
    attack = Attack.of(model, images, labels, target, preprocessing, batch_size)
    epsilon, step = _check.real("epsilon", epsilon, 0.0, 255.0), _check.real("step", step, 0.0, 255.0, above=True)
    steps, restarts = _check.whole("steps", steps, 1), _check.whole("restarts", restarts, 1)
    seed = _check.whole("seed", seed, 0, 2**31 - 1)
    if not _check.flag("random_start", random_start) and restarts > 1:
        raise _check.refuse("restarts", "1 without random_start", restarts)
    settings = {"epsilon": epsilon, "step": step, "steps": steps}
    kept, won, best = attack.question.images, np.zeros(len(attack.question.images), bool), None
    for restart in range(restarts):
        start = attack.question.images
        if random_start:
            start = np.stack([anywhere(x, attack.box, epsilon, (seed + restart, i)) for i, x in enumerate(start)])
        found = attack.run(start, **settings)
        loss = attack.losses(found)
        better = ~won if best is None else ~won & (attack.succeeds(found) | (loss > best))
        kept = np.where(better[:, None, None, None], found, kept)
        best = loss if best is None else np.where(better, loss, best)
        won = attack.succeeds(kept)
    options = {**settings, "random_start": random_start, "restarts": restarts, "seed": seed}
    return attack.told(kept, "pgd", options)


def draw_adversarial(found: Adversarial, path: str | os.PathLike, *, class_names: Sequence[str] | None = None) -> None:
    """Writes a PNG: a row an image, at most 16, with the image, what was added, and their sum; gray is no change, and
    the largest change of each image is black or white.

    Args:
        found: of `fgsm`, `pgd` or `lbfgs`.
        path: the PNG.
        class_names: by class; None: numbers are shown.

    Raises:
        InputError: `found` is something else, or its images have neither 1 nor 3 channels.
        OSError: the file cannot be written.
    """
    if not isinstance(found, Adversarial) or found.images.shape[-1] not in (1, 3):
        received = found.images.shape if isinstance(found, Adversarial) else type(found).__name__
        raise InputError(f"found must be changed images of 1 or 3 channels. Received: {received}")
    names = class_names if class_names is not None else [f"class {i}" for i in range(1 + _largest(found))]
    tiles, labels = [], []
    for index in range(min(len(found.images), _MOST)):
        change, pixels = found.changes[index], found.pixels[index]
        most = float(np.abs(change).max())
        tiles += [(pixels - change) / 255, 0.5 + 0.5 * change / (most or 1), pixels / 255]
        reached = "reached" if found.targeted else "left"
        verdict = reached if found.success[index] else f"not {reached}"
        labels += [
            str(names[int(found.before[index])])[:40],
            f"change: at most {most:.2g}, rms {found.norms[index]:.2g} of 255",
            f"{str(names[int(found.after[index])])[:28]} ({verdict})",
        ]
    shown = [np.clip(tile, 0, 1).repeat(3 // tile.shape[-1], axis=-1) for tile in tiles]
    told = ", ".join(f"{key} {value:g}" for key, value in found.options.items() if key in ("epsilon", "step", "steps"))
    draw_tiles(path, shown, title=f"{found.method}{': ' if told else ''}{told}", labels=labels, columns=3)


def _largest(found: Adversarial) -> int:
    return int(max(found.before.max(), found.after.max(), found.goal.max()))


@dataclasses.dataclass(frozen=True)
class Attack:
    """A network, images, and the class that is to be left or reached."""

    question: Question
    before: np.ndarray
    targeted: bool
    box: PixelBox
    batch_size: int

    @classmethod
    def of(cls, model, images, labels, target, preprocessing, batch_size) -> "Attack":
        batch_size = _check.whole("batch_size", batch_size, 1)
        if labels is not None and target is not None:
            raise InputError("Either labels, to be left, or a target, to be reached, must be given. Received: both")
        if callable(labels) or callable(target):
            raise InputError("labels and target must be classes. Received: a function")
        said = ask(model, images, None, batch_size=batch_size)
        goal = labels if target is None else target
        question = said if goal is None else ask(model, images, goal, batch_size=batch_size)
        box = PixelBox.of(getattr(model, "model", model), said.images.shape[-1], preprocessing)
        return cls(question, said.target, target is not None, box, batch_size)

    def run(self, start: np.ndarray, **settings) -> np.ndarray:
        """`climb` for all images, so many at a time."""

        @tf.function(reduce_retracing=True)
        def way(images, begun, goal):
            losses, sign = loss_of(self.question.model, goal), -1.0 if self.targeted else 1.0
            return climb(lambda x: sign * losses(x), images, begun, self.box, **settings)

        images, goal = self.question.images, self.question.target
        found = [way(images[part], start[part], goal[part]) for part in self._parts()]
        return np.concatenate(found)

    def losses(self, images: np.ndarray) -> np.ndarray:
        """What the attack makes large, float32 [n]."""
        losses = [
            loss_of(self.question.model, tf.constant(self.question.target[part]))(images[part])
            for part in self._parts()
        ]
        return np.concatenate(losses) * (-1 if self.targeted else 1)

    def classes(self, images: np.ndarray) -> np.ndarray:
        """What the network says, int64 [n]."""
        outputs = [
            keras.ops.cast(self.question.model(images[part], training=False), "float32") for part in self._parts()
        ]
        return np.concatenate(outputs).argmax(axis=1)

    def succeeds(self, images: np.ndarray) -> np.ndarray:
        return (self.classes(images) == self.question.target) == self.targeted

    def told(self, images: np.ndarray, method: str, options: dict[str, Any]) -> Adversarial:
        """The result."""
        pixels = self.box.to_pixels(images)
        changes = pixels - self.box.to_pixels(self.question.images)
        after = self.classes(images)
        return Adversarial(
            images, changes, pixels, self.before, after, self.question.target, self.targeted, method, options
        )

    def _parts(self) -> list[slice]:
        count = len(self.question.images)
        return [slice(start, start + self.batch_size) for start in range(0, count, self.batch_size)]
