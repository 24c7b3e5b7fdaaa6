"""Trained models in use: read from run folders and SavedModels, asked about image files."""

from kerascnn.inference import checkpoint, saved_model
from kerascnn.inference.drawing import overlay, plot_overlay, plot_segmentation
from kerascnn.inference.predict import Prediction, predict
from kerascnn.inference.predict_masks import MaskPrediction, predict_masks

__all__ = [
    "MaskPrediction",
    "Prediction",
    "checkpoint",
    "overlay",
    "plot_overlay",
    "plot_segmentation",
    "predict",
    "predict_masks",
    "saved_model",
]
