"""Measuring trained models: accuracy, mean IoU, the confusion matrix."""

from kerascnn.evaluation.confusion import plot_confusion
from kerascnn.evaluation.report import Report, evaluate
from kerascnn.evaluation.segmentation import SegmentationReport, evaluate_segmentation

__all__ = [
    "Report",
    "SegmentationReport",
    "evaluate",
    "evaluate_segmentation",
    "plot_confusion",
]
