"""Random colors and blur."""

import dataclasses

import tensorflow as tf

from kerascnn.data.augment import colors, filters
from kerascnn.data.augment.images import as_batch, chosen, split_seed
from kerascnn.data.augment.operation import Operation, number


@dataclasses.dataclass(frozen=True)
class ColorJitter(Operation):
    """Changes brightness, contrast and saturation by factors from max(0, 1 - x) to 1 + x, and turns the hue by up to
    `hue` of the circle, in a random order (torchvision's ColorJitter; Wu et al. 2018,
    arXiv:1805.01978, section 4.1)."""

    name = "color_jitter"
    tasks = ("classification", "segmentation")
    batched = False  # so that each image has an order of its own
    brightness: float = number(0.4, 0.0, 10.0)
    contrast: float = number(0.4, 0.0, 10.0)
    saturation: float = number(0.4, 0.0, 10.0)
    hue: float = number(0.0, 0.0, 0.5)
    probability: float = number(1.0, 0.0, 1.0)

    def image(self, image, seed, target):
        image = colors.as_bytes(image)
        used = [
            (function, max(0.0, 1.0 - width), 1.0 + width)
            for function, width in (
                (colors.brightness, self.brightness),
                (colors.contrast, self.contrast),
                (colors.color, self.saturation),
            )
            if width
        ]
        used += [(colors.hue, -self.hue, self.hue)] if self.hue else []
        if not used:
            return image
        first, second = split_seed(seed, 2)
        draws = tf.random.stateless_uniform([len(used) + 1], first)
        order = tf.random.experimental.stateless_shuffle(tf.range(len(used)), second)

        def changed():
            amounts = [
                low + (high - low) * draw for (_, low, high), draw in zip(used, tf.unstack(draws)[:-1], strict=True)
            ]
            return in_order(image, [function for function, _, _ in used], amounts, order)

        return changed() if self.probability == 1.0 else tf.cond(draws[-1] < self.probability, changed, lambda: image)


def in_order(image: tf.Tensor, functions, amounts, order: tf.Tensor) -> tf.Tensor:
    """Does several changes one after another, in an order that only the graph knows.

    Args:
        image: uint8 [height, width, channels].
        functions: each takes (image, amount).
        amounts: one for each function.
        order: int32 [number of functions]: which comes first, second, and so on.

    Returns:
        uint8 [height, width, channels].
    """
    found = image
    for place in range(len(functions)):
        branches = [
            lambda change=change, amount=amount, found=found: change(found, amount)
            for change, amount in zip(functions, amounts, strict=True)
        ]
        found = tf.switch_case(order[place], branches)
    return tf.ensure_shape(found, image.shape)


@dataclasses.dataclass(frozen=True)
class Grayscale(Operation):
    """Turns some images gray (Chen et al. 2020, SimCLR, arXiv:2002.05709, appendix A)."""

    name = "grayscale"
    tasks = ("classification", "segmentation")
    probability: float = number(0.2, 0.0, 1.0)

    def image(self, image, seed, target):
        def change(images):
            draw = tf.random.stateless_uniform([tf.shape(images)[0]], seed)
            return chosen(draw, self.probability, colors.grayscale(images), colors.as_bytes(images))

        return as_batch(image, change)


@dataclasses.dataclass(frozen=True)
class GaussianBlur(Operation):
    """Blurs some images with a Gaussian of a deviation from `smallest` to `largest` pixels, cut off at `part` of the
    shorter side (Chen et al. 2020, SimCLR, arXiv:2002.05709, appendix A: a tenth)."""

    name = "gaussian_blur"
    tasks = ("classification", "segmentation")
    probability: float = number(0.5, 0.0, 1.0)
    smallest: float = number(0.1, 0.0, 100.0, above=True)
    largest: float = number(2.0, 0.0, 100.0, above=True)
    part: float = number(0.1, 0.0, 1.0, above=True)

    def __post_init__(self):
        super().__post_init__()
        self.check_order("smallest", "largest")

    def image(self, image, seed, target):
        size = max(3, round(self.part * min(target.shape[:2])) // 2 * 2 + 1)
        size = min(size, 2 * min(target.shape[:2]) - 1)

        def change(images):
            draws = tf.random.stateless_uniform([2, tf.shape(images)[0]], seed)
            sigma = self.smallest + (self.largest - self.smallest) * draws[1]
            images = colors.as_bytes(images)
            if image.shape.rank == 4 or self.probability == 1.0:
                return chosen(draws[0], self.probability, filters.gaussian_blur(images, sigma, size), images)
            blurred = draws[0, 0] < self.probability
            return tf.cond(blurred, lambda: filters.gaussian_blur(images, sigma, size), lambda: images)

        return as_batch(image, change)


OPERATIONS = (ColorJitter, Grayscale, GaussianBlur)
