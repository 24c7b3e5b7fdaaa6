"""Data sets, the tf.data pipeline, augmentation and preprocessing. Nothing in here knows Keras."""

from kerascnn.data.augment.images import pad_and_crop as pad_and_crop
from kerascnn.data.augment.images import pca_colour_shift as pca_colour_shift
from kerascnn.data.augment.images import random_crop as random_crop
from kerascnn.data.augment.images import random_flip as random_flip
from kerascnn.data.augment.images import random_resized_crop as random_resized_crop
from kerascnn.data.loading import load as load
from kerascnn.data.pipeline import AUGMENTATIONS as AUGMENTATIONS
from kerascnn.data.pipeline import eval_pipeline as eval_pipeline
from kerascnn.data.pipeline import train_pipeline as train_pipeline
from kerascnn.data.preprocessing import decode_image as decode_image
from kerascnn.data.preprocessing import preprocess_image as preprocess_image
from kerascnn.data.preprocessing import read_image as read_image
from kerascnn.data.source import Source as Source
from kerascnn.data.source import check_images as check_images
from kerascnn.data.source import explain as explain
