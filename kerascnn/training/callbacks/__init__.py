"""What happens around steps and epochs of a run, one callback a file."""

from kerascnn.training.callbacks.average_statistics import AverageStatistics
from kerascnn.training.callbacks.average_weights import AverageWeights
from kerascnn.training.callbacks.mlflow import MLflow
from kerascnn.training.callbacks.plateau import Plateau
from kerascnn.training.callbacks.progress import ShowProgress
from kerascnn.training.callbacks.record import Record, Remember
from kerascnn.training.callbacks.schedule_drop_path import ScheduleDropPath, progress_layers
from kerascnn.training.callbacks.seed_epoch import SeedEpoch
from kerascnn.training.callbacks.sparsity import Sparsity, first_images
from kerascnn.training.callbacks.stop_early import StopEarly
from kerascnn.training.callbacks.stop_on_nan import StopOnNaN
from kerascnn.training.callbacks.tensorboard import TensorBoard
from kerascnn.training.callbacks.tracker import Tracker
from kerascnn.training.callbacks.unfreeze import Unfreeze
from kerascnn.training.callbacks.wandb import WandB

__all__ = [
    "AverageStatistics",
    "AverageWeights",
    "MLflow",
    "Plateau",
    "Record",
    "Remember",
    "ScheduleDropPath",
    "SeedEpoch",
    "ShowProgress",
    "Sparsity",
    "StopEarly",
    "StopOnNaN",
    "TensorBoard",
    "Tracker",
    "Unfreeze",
    "WandB",
    "first_images",
    "progress_layers",
]
