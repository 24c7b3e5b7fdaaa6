"""Trained models in use: read from run folders and SavedModels, asked about image files."""

from kerascnn.inference import checkpoint, saved_model
from kerascnn.inference.features import Features, features
from kerascnn.inference.predict import Prediction, predict
from kerascnn.inference.predict_masks import MaskPrediction, predict_masks
from kerascnn.inference.predictor import Predictor

__all__ = [
    "Features",
    "MaskPrediction",
    "Prediction",
    "Predictor",
    "checkpoint",
    "features",
    "predict",
    "predict_masks",
    "saved_model",
]
