"""Data sets, the tf.data pipeline, augmentation and preprocessing. Nothing in here knows Keras."""

from kerascnn.data.augment.images import pad_and_crop, pca_color_shift, random_crop, random_flip, random_resized_crop
from kerascnn.data.corruptions import corrupt
from kerascnn.data.decoding._contents import MAX_PIXELS
from kerascnn.data.epochs import Share
from kerascnn.data.loading import load
from kerascnn.data.own import from_arrays, from_datasets
from kerascnn.data.packing import pack
from kerascnn.data.pipeline import AUGMENTATIONS, eval_pipeline, eval_share, train_pipeline
from kerascnn.data.preprocessing import decode_image, preprocess_image, read_image
from kerascnn.data.preview import preview
from kerascnn.data.sampling import class_counts
from kerascnn.data.source import Source, check_images, damaged, explain

__all__ = [
    "AUGMENTATIONS",
    "MAX_PIXELS",
    "Share",
    "Source",
    "check_images",
    "class_counts",
    "corrupt",
    "damaged",
    "decode_image",
    "eval_pipeline",
    "eval_share",
    "explain",
    "from_arrays",
    "from_datasets",
    "load",
    "pack",
    "pad_and_crop",
    "pca_color_shift",
    "preprocess_image",
    "preview",
    "random_crop",
    "random_flip",
    "random_resized_crop",
    "read_image",
    "train_pipeline",
]
