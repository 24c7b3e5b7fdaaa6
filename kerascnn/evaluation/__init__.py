"""Measuring and using trained models: accuracy, the confusion matrix, predictions for image files."""

from kerascnn.evaluation.confusion import plot_confusion as plot_confusion
from kerascnn.evaluation.predict import Prediction as Prediction
from kerascnn.evaluation.predict import predict as predict
from kerascnn.evaluation.report import Report as Report
from kerascnn.evaluation.report import evaluate as evaluate

__all__ = ["Prediction", "Report", "evaluate", "plot_confusion", "predict"]
