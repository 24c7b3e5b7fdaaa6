"""Trained models in use: read from run folders and SavedModels, asked about image files."""

from kerascnn.inference import checkpoint, saved_model
from kerascnn.inference.compiled import compile
from kerascnn.inference.features import Features, features
from kerascnn.inference.lowering import lowered
from kerascnn.inference.predict import Prediction, predict
from kerascnn.inference.predict_masks import MaskPrediction, predict_masks
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.soups import average_weights
from kerascnn.inference.statistics import estimate_statistics
from kerascnn.inference.temperature import calibrated, with_temperature
from kerascnn.inference.tta import MultiView, with_views
from kerascnn.inference.views import Views
from kerascnn.inference.views import parse as parse_views

__all__ = [
    "Features",
    "MaskPrediction",
    "MultiView",
    "Prediction",
    "Predictor",
    "Views",
    "average_weights",
    "calibrated",
    "checkpoint",
    "compile",
    "estimate_statistics",
    "features",
    "lowered",
    "parse_views",
    "predict",
    "predict_masks",
    "saved_model",
    "with_temperature",
    "with_views",
]
