"""Measuring trained models: accuracy, mean IoU, the confusion matrix, pictures of what they find."""

from kerascnn.evaluation.confusion import plot_confusion
from kerascnn.evaluation.drawing import overlay, plot_overlay, plot_segmentation
from kerascnn.evaluation.examples import Example, plot_examples
from kerascnn.evaluation.measuring import evaluate, evaluate_segmentation
from kerascnn.evaluation.probes import Probe, linear_probe, nearest_neighbors
from kerascnn.evaluation.report import Report
from kerascnn.evaluation.segmentation import SegmentationReport
from kerascnn.inference import MaskPrediction, Prediction, predict, predict_masks

__all__ = [
    "Example",
    "MaskPrediction",
    "Prediction",
    "Probe",
    "Report",
    "SegmentationReport",
    "evaluate",
    "evaluate_segmentation",
    "linear_probe",
    "nearest_neighbors",
    "overlay",
    "plot_confusion",
    "plot_examples",
    "plot_overlay",
    "plot_segmentation",
    "predict",
    "predict_masks",
]
