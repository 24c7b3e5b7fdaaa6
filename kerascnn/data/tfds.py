"""Image classification sets of TensorFlow Datasets, imported only when one is asked for."""

import socket
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import decode_image
from kerascnn.data.source import Source
from kerascnn.data.splits import Stream

_TEST_SPLITS = ("test", "validation", "val")


def names() -> list[str]:
    """The names of all data sets that the installed TFDS knows, of any kind."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def load_tfds(name: str, data_dir: Path | None = None) -> Source:
    """A set of TensorFlow Datasets, downloaded and prepared at first use.

    Args:
        name: "name", "name/config" or "name:version".
        data_dir: where TFDS keeps its sets; None: its default.

    Returns:
        A source. The test split is "test" if that has labels, else "validation"; of a set that has neither, the last
        tenth of "train".

    Raises:
        InputError: TFDS does not know it, it is not image classification, or it cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # TFDS has no common error class: an unknown config alone can raise four kinds
        raise InputError(
            f"TFDS has no such data set ({_line(error.__cause__ or error)}). Received: {name!r}"
        ) from error
    return source_from_builder(builder, name)


def source_from_builder(builder, name: str) -> Source:
    """A source from a TFDS builder, whose data are downloaded and prepared if they are not yet.

    Args:
        builder: a `tfds.core.DatasetBuilder`.
        name: what to call the set.

    Returns:
        The source.

    Raises:
        InputError: it is not image classification, or cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    image_key, label_key = _keys(builder.info.features, name)
    try:
        host = _unknown_host(builder)
        if host is None:
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:  # anything between a closed port and a full disk
        raise InputError(f"TFDS cannot download and prepare {name!r} ({_line(error)})") from error
    if host is not None:
        raise InputError(f"TFDS cannot download {name!r}: there is no network, or no server {host}")
    image_feature, label_feature = (builder.info.features[key] for key in (image_key, label_key))
    shape = tuple(image_feature.shape)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    if "train" not in sizes:
        raise InputError(f"A data set must have a split named train. Received: {name!r} with {sorted(sizes)}")

    def decode(image):
        return tf.ensure_shape(decode_image(image, shape[2]), shape)

    def stream(instruction, size):
        def read():
            config = tfds.ReadConfig(try_autocache=False)  # encoded; what is decoded is kept by the pipeline
            skip = {image_key: tfds.decode.SkipDecoding()}
            examples = builder.as_dataset(split=instruction, decoders=skip, read_config=config)
            return examples.map(lambda example: (example[image_key], tf.cast(example[label_key], tf.int64)))

        return Stream(read, decode, size)

    splits = {"train": stream("train", sizes["train"])}
    for split in _TEST_SPLITS:
        if sizes.get(split):
            candidate = stream(split, sizes[split])
            if all(label >= 0 for _, label in candidate.read().take(1).as_numpy_iterator()):  # -1: kept secret
                splits["test"] = candidate
                break
    else:
        kept = sizes["train"] * 9 // 10
        splits = {"train": stream(f"train[:{kept}]", kept), "test": stream(f"train[{kept}:]", sizes["train"] - kept)}
    return Source(name, tuple(label_feature.names), shape, splits)


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
    image = features[keys[0]]
    if image.shape[2] not in (1, 3) or image.np_dtype != np.uint8:
        shape = list(image.shape)
        raise InputError(
            f"Images must be uint8 with 1 or 3 channels. Received: {name!r}, {image.np_dtype.__name__} {shape}"
        )
    return keys


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
