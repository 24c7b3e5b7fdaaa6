"""Measuring trained models: accuracy, mean IoU, calibration, the confusion matrix, pictures of what they find."""

from kerascnn.evaluation.accepted import AcceptedReport, accepted_report, read_accepted
from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.batches import batches
from kerascnn.evaluation.calibration import COLDEST, HOTTEST, Bin, Calibration, calibration_of, fit_temperature
from kerascnn.evaluation.classes import plot_classes
from kerascnn.evaluation.comparison import plot_comparison
from kerascnn.evaluation.confusion import plot_confusion
from kerascnn.evaluation.drawing import overlay, plot_overlay, plot_segmentation
from kerascnn.evaluation.ensembles import combine, fit_weights, greedy_weights
from kerascnn.evaluation.examples import Example, plot_examples
from kerascnn.evaluation.intervals import wilson
from kerascnn.evaluation.measuring import evaluate, evaluate_segmentation
from kerascnn.evaluation.probes import Probe, linear_probe, nearest_neighbors
from kerascnn.evaluation.reliability import plot_reliability
from kerascnn.evaluation.report import Report
from kerascnn.evaluation.robustness import ALEXNET, Robustness, plot_corruptions, plot_robustness, robustness
from kerascnn.evaluation.segmentation import SegmentationReport
from kerascnn.evaluation.soups import greedy_soup, soup
from kerascnn.evaluation.tally import report_of
from kerascnn.inference import MaskPrediction, Prediction, predict, predict_masks

__all__ = [
    "ALEXNET",
    "AcceptedReport",
    "Answers",
    "Bin",
    "COLDEST",
    "Calibration",
    "Example",
    "HOTTEST",
    "MaskPrediction",
    "Prediction",
    "Probe",
    "Report",
    "Robustness",
    "SegmentationReport",
    "accepted_report",
    "batches",
    "calibration_of",
    "combine",
    "evaluate",
    "evaluate_segmentation",
    "fit_temperature",
    "fit_weights",
    "greedy_soup",
    "greedy_weights",
    "linear_probe",
    "nearest_neighbors",
    "overlay",
    "plot_classes",
    "plot_comparison",
    "plot_confusion",
    "plot_corruptions",
    "plot_examples",
    "plot_overlay",
    "plot_reliability",
    "plot_robustness",
    "plot_segmentation",
    "predict",
    "predict_masks",
    "read_accepted",
    "report_of",
    "robustness",
    "soup",
    "wilson",
]
