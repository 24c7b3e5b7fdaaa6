"""Measuring and using trained models: accuracy, mean IoU, the confusion matrix, predictions for image files."""

from kerascnn.evaluation.confusion import plot_confusion as plot_confusion
from kerascnn.evaluation.drawing import overlay as overlay
from kerascnn.evaluation.drawing import plot_overlay as plot_overlay
from kerascnn.evaluation.drawing import plot_segmentation as plot_segmentation
from kerascnn.evaluation.predict import Prediction as Prediction
from kerascnn.evaluation.predict import predict as predict
from kerascnn.evaluation.predict_masks import MaskPrediction as MaskPrediction
from kerascnn.evaluation.predict_masks import predict_masks as predict_masks
from kerascnn.evaluation.report import Report as Report
from kerascnn.evaluation.report import evaluate as evaluate
from kerascnn.evaluation.segmentation import SegmentationReport as SegmentationReport
from kerascnn.evaluation.segmentation import evaluate_segmentation as evaluate_segmentation

__all__ = [
    "MaskPrediction",
    "Prediction",
    "Report",
    "SegmentationReport",
    "evaluate",
    "evaluate_segmentation",
    "overlay",
    "plot_confusion",
    "plot_overlay",
    "plot_segmentation",
    "predict",
    "predict_masks",
]
