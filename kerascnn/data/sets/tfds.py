"""Image classification and segmentation sets of TensorFlow Datasets, imported only when one is asked for."""

import importlib.util
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from types import ModuleType

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE, PairStream, decode_mask, stack
from kerascnn.data.preprocessing import decode_image
from kerascnn.data.sets.kind import Kind, Wanted
from kerascnn.data.source import Source
from kerascnn.data.splits import Stream

_SPLITS = {"test": ("test",), "validation": ("validation", "val")}  # what the sets of TFDS call the parts
UNMIRRORED = ("mnist", "emnist", "kmnist", "svhn_cropped")  # characters, which mean something else when mirrored
_MASKS = ("segmentation_mask", "segmentation_label")  # what the sets of TFDS call them
# Names of the classes that TFDS does not tell, and the number of the first; others are numbered from 0.
_MASK_CLASSES = {"oxford_iiit_pet": (("pet", "background", "outline"), 1)}


def names() -> list[str]:
    """The names of all data sets that TFDS knows, of any kind; none where it is not installed."""
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return []
    return _library().list_builders(with_community_datasets=False)


def _library() -> ModuleType:
    """TFDS, an optional part of the installation.

    Raises:
        InputError: it is not installed.
    """
    try:
        import tensorflow_datasets
    except ModuleNotFoundError as error:
        raise InputError(
            "Data sets by their TFDS names need tensorflow-datasets: pip install 'kerascnn[tfds]'. "
            f"Received: an installation without {error.name}"
        ) from error
    return tensorflow_datasets


def load_tfds(name: str, data_dir: Path | None = None, task: str = "classification") -> Source:
    """A set of TensorFlow Datasets, downloaded and prepared at first use.

    Args:
        name: "name", "name/config" or "name:version".
        data_dir: where TFDS keeps its sets; None: its default.
        task: "classification", or "segmentation" for a set with masks.

    Returns:
        A source. Its parts are the splits "train", "validation" (or "val") and "test"; without a "test" that has
        labels, "validation" takes its place. Parts that are missing are held out of "train", by `kerascnn.data.parts`.

    Raises:
        InputError: TFDS does not know it, it has no labels or masks, or it cannot be downloaded.
    """
    library = _library()
    try:
        builder = library.builder(name, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # TFDS has no common error class: an unknown config alone can raise four kinds
        raise InputError(
            f"TFDS has no such data set ({_line(error.__cause__ or error)}). Received: {name!r}"
        ) from error
    return source_from_builder(builder, name, task)


def source_from_builder(builder, name: str, task: str = "classification") -> Source:
    """A source from a TFDS builder, whose data are downloaded and prepared if they are not yet.

    Args:
        builder: a `tfds.core.DatasetBuilder`.
        name: what to call the set.
        task: "classification"; or "segmentation": the set has one image and one mask of class numbers, called
            segmentation_mask or segmentation_label. Where the names of the classes are not known, all training masks
            are read for the largest number.

    Returns:
        The source.

    Raises:
        InputError: it has not one image with one label or mask, or cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    segmentation = task == "segmentation"
    image_key, label_key = (_mask_keys if segmentation else _keys)(builder.info.features, name)
    try:
        host = _unknown_host(builder)
        if host is None:
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:  # anything between a closed port and a full disk
        raise InputError(f"TFDS cannot download and prepare {name!r} ({_line(error)})") from error
    if host is not None:
        raise InputError(f"TFDS cannot download {name!r}: there is no network, or no server {host}")
    shape = tuple(builder.info.features[image_key].shape)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    if "train" not in sizes:
        raise InputError(f"A data set must have a split named train. Received: {name!r} with {sorted(sizes)}")

    def decode(image):
        return tf.ensure_shape(decode_image(image, shape[2]), shape)

    def read(instruction):
        config = tfds.ReadConfig(try_autocache=False)  # encoded; what is decoded is kept by the pipeline
        skip = {key: tfds.decode.SkipDecoding() for key in ([image_key, label_key] if segmentation else [image_key])}
        examples = builder.as_dataset(split=instruction, decoders=skip, read_config=config)
        if segmentation:
            return examples.map(lambda example: (example[image_key], example[label_key]))
        return examples.map(lambda example: (example[image_key], tf.cast(example[label_key], tf.int64)))

    if segmentation:
        class_names, lowest = _mask_classes(builder.name, lambda: read("train"))

        def stream_masks(instruction, size):
            def pair(image, mask):
                mask = decode_mask(mask)
                numbers = tf.where(
                    mask < lowest, tf.constant(IGNORE - 1, tf.uint8), mask - lowest
                )  # the first is refused
                return stack(decode(image), tf.where(mask == IGNORE, mask, numbers), len(class_names))

            return PairStream(lambda: read(instruction), pair, size)

        stream = stream_masks
    else:
        class_names = tuple(builder.info.features[label_key].names)

        def stream_labels(instruction, size):
            return Stream(lambda: read(instruction), decode, size)

        stream = stream_labels

    splits = {"train": stream("train", sizes["train"])}
    for part, candidates in _SPLITS.items():
        for split in candidates:
            if part in splits or not sizes.get(split):
                continue
            candidate = stream(split, sizes[split])
            first = candidate.read().take(1).as_numpy_iterator()
            if segmentation or all(label >= 0 for _, label in first):  # -1: kept secret
                splits[part] = candidate
    if "validation" in splits and "test" not in splits:
        splits["test"] = splits.pop("validation")
    mirrored = builder.name not in UNMIRRORED
    return Source(name, class_names, shape, splits, task, mirrored)


def _keys(features, name):
    """The names of the image and the label among the features."""
    import tensorflow_datasets as tfds

    kinds = {"image": (tfds.features.Image,), "label": (tfds.features.ClassLabel,)}
    keys = []
    for preferred, kind in kinds.items():
        found = [key for key, feature in getattr(features, "items", dict)() if type(feature) in kind]
        if preferred in found:
            found = [preferred]
        keys += found
        if len(found) != 1:
            rule = "A TFDS set for image classification has one image and one class label"
            raise InputError(f"{rule}. Received: {name!r} with {len(found)} features of the kind {preferred}")
    _check_image(features[keys[0]], name)
    return keys


def _mask_keys(features, name):
    """The names of the image and the mask among the features."""
    import tensorflow_datasets as tfds

    found = [key for key, feature in getattr(features, "items", dict)() if type(feature) is tfds.features.Image]
    masks = [key for key in found if key in _MASKS]
    images = ["image"] if "image" in found else [key for key in found if key not in masks]
    if len(images) != 1 or len(masks) != 1:
        rule = f"A TFDS set for segmentation has one image, and one mask called {' or '.join(_MASKS)}"
        raise InputError(f"{rule}. Received: {name!r} with {len(images)} images and {len(masks)} masks")
    _check_image(features[images[0]], name)
    return images + masks


def _mask_classes(name, read):
    """(names of the classes, number of the first) of a set."""
    if name in _MASK_CLASSES:
        return _MASK_CLASSES[name]

    def largest(image, contents):
        mask = decode_mask(contents)
        return tf.reduce_max(tf.where(mask == IGNORE, tf.zeros_like(mask), mask))

    count = 1 + max(int(number) for number in read().map(largest, tf.data.AUTOTUNE).as_numpy_iterator())
    return tuple(str(number) for number in range(max(count, 2))), 0


def _check_image(image, name):
    if image.shape[2] not in (1, 3) or image.np_dtype != np.uint8:
        shape = list(image.shape)
        raise InputError(
            f"Images must be uint8 with 1 or 3 channels. Received: {name!r}, {image.np_dtype.__name__} {shape}"
        )


def _unknown_host(builder):
    """A server that has no address, if something must be downloaded from it; TFDS would try for several minutes."""
    kept = Path(builder.data_dir_root) / "downloads"  # fetched before, perhaps by hand
    if builder.is_prepared() or urllib.request.getproxies() or (kept.is_dir() and any(kept.iterdir())):
        return None
    for host in sorted({urllib.parse.urlsplit(url).hostname for url in builder.url_infos or ()} - {None}):
        try:
            socket.getaddrinfo(host, None)
        except socket.gaierror:
            return host
    return None


def _line(error):
    """The first line of what TFDS has to say."""
    text = str(error).strip().splitlines()
    return text[0].rstrip(".:") if text else type(error).__name__


def _load(wanted: Wanted) -> Source:
    return load_tfds(wanted.name, wanted.data_dir, wanted.task or "classification")


KIND = Kind(_load)  # asked last, for any name that is neither a folder nor one of another kind
