"""Measuring trained models: accuracy, mean IoU, calibration, the confusion matrix, pictures of what they find."""

from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.batches import batches
from kerascnn.evaluation.calibration import COLDEST, HOTTEST, Bin, Calibration, calibration_of, fit_temperature
from kerascnn.evaluation.confusion import plot_confusion
from kerascnn.evaluation.drawing import overlay, plot_overlay, plot_segmentation
from kerascnn.evaluation.examples import Example, plot_examples
from kerascnn.evaluation.intervals import wilson
from kerascnn.evaluation.measuring import evaluate, evaluate_segmentation
from kerascnn.evaluation.probes import Probe, linear_probe, nearest_neighbors
from kerascnn.evaluation.reliability import plot_reliability
from kerascnn.evaluation.report import Report
from kerascnn.evaluation.segmentation import SegmentationReport
from kerascnn.evaluation.tally import report_of
from kerascnn.inference import MaskPrediction, Prediction, predict, predict_masks

__all__ = [
    "COLDEST",
    "HOTTEST",
    "Answers",
    "Bin",
    "Calibration",
    "Example",
    "MaskPrediction",
    "Prediction",
    "Probe",
    "Report",
    "SegmentationReport",
    "batches",
    "calibration_of",
    "evaluate",
    "evaluate_segmentation",
    "fit_temperature",
    "linear_probe",
    "nearest_neighbors",
    "overlay",
    "plot_confusion",
    "plot_examples",
    "plot_overlay",
    "plot_reliability",
    "plot_segmentation",
    "predict",
    "predict_masks",
    "report_of",
    "wilson",
]
