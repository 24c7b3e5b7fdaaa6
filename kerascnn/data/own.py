"""Sets of one's own from Python: arrays in memory, and `tf.data` datasets."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE, PairArrays, PairStream, check_mask, stack
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays, Stream, check_labels


def from_arrays(
    parts: Mapping[str, tuple[Any, Any]],
    class_names: Sequence[str],
    *,
    name: str = "arrays",
    mirrored: bool = True,
) -> Source:
    """A set from arrays, for `training.train`, `data.train_pipeline` and all else that takes a source.

    Args:
        parts: "train" and perhaps "validation" and "test", each (images, labels): uint8 [n, height, width, channels]
            with 1 or 3 channels, or [n, height, width], which is one channel; and whole numbers [n], or for
            segmentation [n, height, width] with 255 where there is no class. A part that is missing is held out of
            "train" by a hash of each image's pixels, so that equal images stay together.
        class_names: the classes in the order of their numbers.
        name: what the set is called in records and titles.
        mirrored: whether an image means the same when left and right are exchanged.

    Returns:
        The source. A run on it is resumed with an equal one: images and labels are compared.

    Raises:
        InputError: a part has another name, shape or type, numbers that are no classes, or too few examples.

    Example:

        import numpy as np
        from kerascnn import data

        images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
        source = data.from_arrays({"train": (images, np.arange(60) % 2)}, ("even", "odd"))
        source.sizes  # {"train": 46, "validation": 8, "test": 6}
    """
    names, splits = _class_names(class_names), {}
    for part, given in _parts(parts).items():
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputError(f"A part must be (images, labels). Received: {type(given).__name__} for {part!r}")
        images, labels = (np.asarray(values) for values in given)
        images = images[..., None] if images.ndim == 3 else images
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
            rule = "Images must be uint8 [n, height, width, channels] with 1 or 3 channels"
            raise InputError(f"{rule}. Received: {images.dtype} {list(images.shape)} for {part!r}")
        if labels.dtype.kind not in "iu" or labels.shape not in (images.shape[:1], images.shape[:3]):
            rule = "Labels must be whole numbers, one for each image, or one for each pixel"
            raise InputError(f"{rule}. Received: {labels.dtype} {list(labels.shape)} for {part!r}")
        ids = [hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest() for image in images]
        if labels.ndim == 1:
            splits[part] = Arrays(images, check_labels(labels, len(names), repr(part)), ids)
        else:
            if labels.min() < 0:  # cut down to a byte, -1 would be 255, where there is no class
                raise InputError(f"Masks must hold no number below 0. Received: {labels.min()} for {part!r}")
            masks = check_mask(labels, len(names), f"the masks of {part!r}").astype(np.uint8)
            splits[part] = PairArrays(images, masks, len(names), ids)
    return _source(name, names, splits, [split.pixels.shape[1:] for split in splits.values()], mirrored)


def from_datasets(
    parts: Mapping[str, tf.data.Dataset],
    class_names: Sequence[str],
    *,
    name: str = "dataset",
    sizes: Mapping[str, int] | None = None,
    mirrored: bool = True,
) -> Source:
    """A set from `tf.data` datasets of one's own, for `training.train` and all else that takes a source.

    Args:
        parts: "train" and perhaps "validation" and "test", each an unbatched dataset of (image, label): uint8 [height,
            width, channels] with 1 or 3 channels, sizes known or not, neither augmented nor normalized; and a whole
            number, or for segmentation a uint8 mask [height, width] with 255 where there is no class. Each must give
            the same examples in the same order whenever it is read: shuffling and augmentation come after it. A part
            that is missing is held out of "train" by a hash of each example's place.
        class_names: the classes in the order of their numbers.
        name: what the set is called in records and titles.
        sizes: how many examples each part has, where its `cardinality()` does not tell.
        mirrored: whether an image means the same when left and right are exchanged.

    Returns:
        The source. Examples are read in order and shuffled within a buffer, as those of TFDS are.

    Raises:
        InputError: a part has another name or other elements, or its size is not known.

    Example:

        import numpy as np
        import tensorflow as tf
        from kerascnn import data

        images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
        mine = tf.data.Dataset.from_tensor_slices((images, np.arange(60) % 2))
        source = data.from_datasets({"train": mine}, ("even", "odd"))
    """

    def as_mask(label):  # what is no number of a byte becomes one that is refused, as the largest class is below it
        label = tf.cast(label, tf.int64)
        return tf.cast(tf.where((label < 0) | (label > IGNORE), tf.constant(IGNORE - 1, tf.int64), label), tf.uint8)

    names, splits, shapes, sizes = _class_names(class_names), {}, [], dict(sizes or {})
    if unknown := sorted(set(sizes) - set(_parts(parts))):
        raise InputError(f"sizes must be of parts that are given, {', '.join(parts)}. Received: {', '.join(unknown)}")
    for part, examples in _parts(parts).items():
        segments = _check_elements(examples, part)
        known = int(examples.cardinality())
        size = _check.whole(f"sizes[{part!r}]", sizes.get(part, known))
        if known >= 0 and size != known:
            raise InputError(f"The size of {part} must be its cardinality, {known}. Received: {size}")
        if size < 1:
            rule = f"The size of each part must be known and finite: sizes={{{part!r}: ...}} tells it"
            raise InputError(f"{rule}. Received: {size} examples")
        shapes.append(tuple(examples.element_spec[0].shape))

        def read(examples=examples, segments=segments):
            return examples.map(lambda image, label: (image, as_mask(label) if segments else tf.cast(label, tf.int64)))

        if segments:
            splits[part] = PairStream(read, lambda image, mask: stack(image, mask, len(names)), size)
        else:
            splits[part] = Stream(read, tf.identity, size)
    return _source(name, names, splits, shapes, mirrored)


def _parts(parts) -> Mapping:
    if not isinstance(parts, Mapping) or "train" not in parts or set(parts) - set(PARTS):
        received = list(parts) if isinstance(parts, Mapping) else type(parts).__name__
        raise InputError(f"parts must map train, and perhaps validation and test, to examples. Received: {received}")
    return parts


def _class_names(names) -> tuple[str, ...]:
    texts = isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(x, str) for x in names)
    if not texts or len(set(names)) != len(names):
        raise InputError(f"class_names must be texts, each another. Received: {names!r}"[:300])
    if len(names) < 2:
        raise InputError(f"A set must have at least two classes. Received: {len(names)}")
    return tuple(names)


def _check_elements(examples, part) -> bool:
    """Refuses what is not a dataset of images with labels; tells whether they are masks."""
    spec = getattr(examples, "element_spec", None)
    pair = isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(one, tf.TensorSpec) for one in spec)
    if pair:
        image, label = spec
        sound = image.dtype == tf.uint8 and image.shape.rank == 3 and image.shape[2] in (1, 3)
        if sound and label.dtype.is_integer and label.shape.rank in (0, 2):
            return label.shape.rank == 2
    rule = (
        "A part must be an unbatched tf.data.Dataset of (uint8 [height, width, 1 or 3], whole number or mask [height, "
        "width])"
    )
    raise InputError(f"{rule}. Received: {spec or type(examples).__name__} for {part!r}")


def _source(name, class_names, splits, shapes, mirrored) -> Source:
    kinds = {type(split) for split in splits.values()}
    channels = {shape[2] for shape in shapes}
    if len(kinds) > 1 or len(channels) > 1:
        what = "labels or masks" if len(kinds) > 1 else "channels"
        received = dict(zip(splits, shapes, strict=True))
        raise InputError(f"All parts must have the same kind of {what}. Received: {received}")
    height, width = (shapes[0][axis] if len({shape[axis] for shape in shapes}) == 1 else None for axis in (0, 1))
    task = "segmentation" if kinds <= {PairArrays, PairStream} else "classification"
    return Source(name, class_names, (height, width, channels.pop()), splits, task, mirrored)
