"""Common corruptions of images, in five severities: what a network meets outside of a data set.

Thirteen of the nineteen corruptions of Hendrycks and Dietterich, by their definitions and with their constants: those
of ImageNet-C, and for images below 48 pixels those of CIFAR-10-C. Left out: frost, which needs their photographs, and
glass blur, snow, fog, spatter and elastic transformation. Departures: images are not saved as JPEG afterwards, as
ImageNet-C's are; images need not be square, and may be gray.

Source: Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, 2019,
arXiv:1903.12261, section 3 and appendix B; the constants stand in github.com/hendrycks/robustness.
"""

import dataclasses
import io
import math
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from kerascnn import _check
from kerascnn._errors import InputError

SEVERITIES = (1, 2, 3, 4, 5)
SMALL = 48  # pixels of the shorter side, from which the constants are those of ImageNet-C


def gaussian_noise(image, deviation, random):
    """Noise of one deviation everywhere."""
    return image + random.normal(0, deviation, image.shape)


def shot_noise(image, photons, random):
    """Counting of so many photons where the image is white (Poisson)."""
    return random.poisson(image * photons) / photons


def impulse_noise(image, amount, random):
    """So large a share of the values becomes black or white."""
    drawn = random.random(image.shape)
    return np.where(drawn < amount / 2, 0.0, np.where(drawn < amount, 1.0, image))


def speckle_noise(image, deviation, random):
    """Noise in proportion to the image."""
    return image + image * random.normal(0, deviation, image.shape)


def gaussian_blur(image, sigma, random):
    """A Gaussian of four deviations to either side; beyond the edge the image goes on as it ends."""
    half = int(4 * sigma + 0.5)
    places = np.arange(-half, half + 1)
    kernel = np.exp(-0.5 * (places / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        size, pad = image.shape[axis], [(0, 0)] * 3
        pad[axis] = (half, half)
        padded = np.pad(image, pad, "edge")
        image = sum(k * np.take(padded, range(i, i + size), axis) for i, k in enumerate(kernel))
    return image


def defocus_blur(image, constants, random):
    """A disk of some radius whose edge is softened by a Gaussian; the image is mirrored at its edges."""
    radius, sigma = constants
    half, soft = (8, 1) if radius <= 8 else (int(radius), 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disk = (x**2 + y**2 <= radius**2).astype(float)
    disk /= disk.sum()
    edge = np.exp(-0.5 * (np.arange(-soft, soft + 1) / sigma) ** 2)
    kernel = _convolved(disk[..., None], np.outer(edge, edge) / edge.sum() ** 2)[..., 0]
    return _convolved(image, kernel)


def motion_blur(image, constants, random):
    """Half a Gaussian along a line whose angle is drawn from -45 to 45 degrees, pixel by pixel."""
    radius, sigma = constants
    angle = math.radians(random.uniform(-45, 45))
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    weights /= weights.sum()
    rows, columns = np.arange(image.shape[0]), np.arange(image.shape[1])
    blurred = np.zeros_like(image)
    for step, weight in zip(steps, weights, strict=True):
        down, right = (math.ceil(step * part - 0.5) for part in (math.sin(angle), math.cos(angle)))
        at = np.clip(rows + down, 0, len(rows) - 1)
        blurred += weight * image[at][:, np.clip(columns + right, 0, len(columns) - 1)]
    return blurred


def zoom_blur(image, constants, random):
    """The mean of the image and of enlargements of its center."""
    end, step = constants
    factors = np.arange(1, end + step / 2, step)  # sizes are rounded up, so that its last digit counts
    return (image + sum(_zoomed(image, factor) for factor in factors)) / (len(factors) + 1)


def brightness(image, amount, random):
    """More of V in HSV, by which all channels grow in proportion."""
    value = image.max(axis=2, keepdims=True)
    target = np.clip(value + amount, 0, 1)
    return np.where(value > 0, image * target / np.where(value > 0, value, 1), target)


def contrast(image, factor, random):
    """Each channel's distance from its mean, times a factor."""
    mean = image.mean(axis=(0, 1), keepdims=True)
    return (image - mean) * factor + mean


def saturate(image, constants, random):
    """Another S in HSV: S times a factor plus a number. What has no hue becomes red."""
    factor, more = constants
    value = image.max(axis=2, keepdims=True)
    range_ = value - image.min(axis=2, keepdims=True)
    saturation = np.where(value > 0, range_ / np.where(value > 0, value, 1), 0)
    below = np.where(range_ > 0, (value - image) / np.where(range_ > 0, range_, 1), [0.0, 1.0, 1.0])  # of full hue
    return value * (1 - np.clip(saturation * factor + more, 0, 1) * below)


def pixelate(image, factor, random):
    """Fewer pixels, each the mean of a box, and back."""
    size = image.shape[1], image.shape[0]
    small = _picture(image).resize([max(1, int(side * factor)) for side in size], Image.Resampling.BOX)
    return _values(small.resize(size, Image.Resampling.BOX))


def jpeg(image, quality, random):
    """Saved as a JPEG of some quality."""
    file = io.BytesIO()
    _picture(image).save(file, "JPEG", quality=quality)
    return _values(Image.open(file))


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One corruption: a function of (values 0 to 1, constant, random numbers), and its constants."""

    change: Callable
    large: tuple  # of ImageNet-C, severity 1 to 5
    small: tuple  # of CIFAR-10-C
    colors: bool = False  # only images with three channels have what it changes


CORRUPTIONS = {
    "gaussian_noise": Corruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.1)),
    "shot_noise": Corruption(shot_noise, (60, 25, 12, 5, 3), (500, 250, 100, 75, 50)),
    "impulse_noise": Corruption(impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.03, 0.05, 0.07)),
    "speckle_noise": Corruption(speckle_noise, (0.15, 0.2, 0.35, 0.45, 0.6), (0.06, 0.1, 0.12, 0.16, 0.2)),
    "gaussian_blur": Corruption(gaussian_blur, (1, 2, 3, 4, 6), (0.4, 0.6, 0.7, 0.8, 1)),
    "defocus_blur": Corruption(
        defocus_blur,
        ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    ),
    "motion_blur": Corruption(
        motion_blur,
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    ),
    "zoom_blur": Corruption(
        zoom_blur,
        ((1.11, 0.01), (1.15, 0.01), (1.2, 0.02), (1.24, 0.02), (1.3, 0.03)),
        ((1.06, 0.01), (1.11, 0.01), (1.15, 0.01), (1.2, 0.01), (1.25, 0.01)),
    ),
    "brightness": Corruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15)),
    "saturate": Corruption(
        saturate,
        ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
        colors=True,
    ),
    "pixelate": Corruption(pixelate, (0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg": Corruption(jpeg, (25, 18, 15, 10, 7), (80, 65, 58, 50, 40)),
}


def choose(names: str, channels: int) -> tuple[str, ...]:
    """Reads which corruptions there shall be.

    Args:
        names: "all", or names of `CORRUPTIONS` with commas between them.
        channels: of the images, 1 or 3; "all" leaves out what gray images do not have.

    Returns:
        The names, each once, in the order of `CORRUPTIONS`.

    Raises:
        InputError: there is no such corruption, or it is one of colors and the images are gray.
    """
    if not isinstance(names, str):
        raise _check.refuse("corruptions", "a text", names)
    possible = [name for name, found in CORRUPTIONS.items() if channels == 3 or not found.colors]
    if names == "all":
        return tuple(possible)
    asked = [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in CORRUPTIONS:
            raise _check.refuse("corruptions", f"all, or some of {', '.join(CORRUPTIONS)}", name)
        if name not in possible:
            raise InputError(f"{name} changes colors, which gray images do not have. Received: corruptions={names!r}")
    return tuple(name for name in possible if name in asked)


def corrupt(image: np.ndarray, name: str, severity: int, *, seed: int = 0, index: int = 0) -> np.ndarray:
    """Corrupts one image.

    Args:
        image: uint8 [height, width, 1 or 3].
        name: of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: what is random follows from it, the name, the severity and `index`.
        index: number of the image in its set.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: an argument is out of its range.

    Example:

        import numpy as np

        data.corrupt(np.full([32, 32, 3], 128, np.uint8), "gaussian_noise", severity=3)
    """
    found = CORRUPTIONS[_check.one_of("name", name, CORRUPTIONS)]
    level = _check.whole("severity", severity, 1, len(SEVERITIES))
    seed, index = _check.whole("seed", seed, 0), _check.whole("index", index, 0)
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise InputError(f"The image must be uint8 [height, width, 1 or 3]. Received: {pixels.dtype} {pixels.shape}")
    choose(name, pixels.shape[2])
    constants = (found.small if min(pixels.shape[:2]) < SMALL else found.large)[level - 1]
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), level, index])
    values = found.change(pixels / 255, constants, random)
    # Rounded down, as in the published sets; the margin keeps k / 255 * 255 at k.
    return (np.clip(values, 0, 1) * 255 + 1e-6).astype(np.uint8)


def _convolved(values, kernel):
    """Each channel with a symmetric kernel of odd size, mirrored at the edges without repeating them."""
    half = [size // 2 for size in kernel.shape]
    padded = values
    for axis in (0, 1):  # an image may be smaller than the kernel: mirrored as often as needed
        size, left = values.shape[axis], half[axis]
        places = np.abs(np.arange(-left, size + left) % max(2 * size - 2, 1))
        padded = np.take(padded, np.minimum(places, np.abs(2 * size - 2 - places)), axis)
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(kernel, shape)[..., None]
    whole = np.fft.irfft2(spectrum, shape, axes=(0, 1))
    return whole[2 * half[0] :, 2 * half[1] :]


def _zoomed(image, factor):
    """The center, enlarged linearly, corners upon corners, and cut to the image's size."""
    for axis in (0, 1):
        size = image.shape[axis]
        part = math.ceil(size / factor)
        image = np.take(image, range((size - part) // 2, (size - part) // 2 + part), axis)
        large = round(part * factor)
        places = np.arange(large) * ((part - 1) / max(large - 1, 1))
        first = np.minimum(places.astype(int), max(part - 2, 0))
        share = (places - first).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        following = np.take(image, np.minimum(first + 1, part - 1), axis)
        image = np.take(image, first, axis) * (1 - share) + following * share
        trim = (large - size) // 2
        image = np.take(image, range(trim, trim + size), axis)
    return image


def _picture(values):
    pixels = (values * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _values(picture):
    pixels = np.asarray(picture)
    return (pixels[..., None] if pixels.ndim == 2 else pixels) / 255
