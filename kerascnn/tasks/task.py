"""What differs between the tasks that a network can be trained for: outputs, loss, measures, augmentations."""

import abc
from collections.abc import Sequence

import keras

from kerascnn._errors import InputError
from kerascnn.data import mask_pipeline, pipeline
from kerascnn.tasks import losses, metrics

TITLES = {"accuracy": "accuracy", "top5": "top-5", "mean_iou": "mean IoU"}  # what the columns of a history are called


class Task(abc.ABC):
    """A task: how outputs of a network are compared with what the data say."""

    name: str
    best: str  # the measure by which best.keras is chosen
    drawn: Sequence[str]  # the measures in curves.png
    augmentations: Sequence[str]

    @abc.abstractmethod
    def measures(self, classes: int) -> list[str]:
        """Columns of the history beside the loss."""

    @abc.abstractmethod
    def metrics(self, classes: int) -> list[keras.Metric]:
        """The measures as metrics, called like their columns."""

    @abc.abstractmethod
    def loss(self, smoothing: float, from_logits: bool) -> keras.Loss:
        """The loss."""

    @abc.abstractmethod
    def output_shape(self, input_shape: Sequence[int], classes: int) -> tuple[int, ...]:
        """Shape of a network's output for one example."""

    def check_augment(self, augment: str):
        """Refuses an augmentation that is for another task.

        Raises:
            InputError: it is.
        """
        if augment not in self.augmentations:
            raise InputError(
                f"augment must be one of {', '.join(self.augmentations)} for {self.name}. Received: {augment}"
            )


class _Classification(Task):
    """One class an image."""

    name, best, drawn = "classification", "accuracy", ("accuracy",)
    augmentations = pipeline.AUGMENTATIONS

    def measures(self, classes):
        return ["accuracy", *(["top5"] if classes > 5 else [])]

    def metrics(self, classes):
        found = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        if classes > 5:
            found.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5"))
        return found

    def loss(self, smoothing, from_logits):
        return losses.SmoothedCrossentropy(smoothing, from_logits=from_logits)

    def output_shape(self, input_shape, classes):
        return (classes,)


class _Segmentation(Task):
    """One class a pixel."""

    name, best, drawn = "segmentation", "mean_iou", ("accuracy", "mean_iou")
    augmentations = mask_pipeline.AUGMENTATIONS

    def measures(self, classes):
        return ["accuracy", "mean_iou"]

    def metrics(self, classes):
        return [metrics.PixelAccuracy(name="accuracy"), metrics.MeanIoU(classes, name="mean_iou")]

    def loss(self, smoothing, from_logits):
        return losses.PixelCrossentropy(smoothing, from_logits=from_logits)

    def output_shape(self, input_shape, classes):
        return (*input_shape[:2], classes)


TASKS: dict[str, Task] = {task.name: task for task in (_Classification(), _Segmentation())}
