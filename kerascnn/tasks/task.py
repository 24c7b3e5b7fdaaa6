"""What differs between the things that a network can be trained for: outputs, loss, measures, images, recipe.

Imports neither TensorFlow nor Keras, so that the command line knows the tasks; what needs them is imported when called.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing

if TYPE_CHECKING:  # for the hints alone
    import keras

    from kerascnn import data


class Task(abc.ABC):
    """A task: how outputs of a network are compared with what the data say."""

    name: str  # as in `model_info(name).task` and `source.task`
    titles: Mapping[str, str]  # each measure that there can be, and what people call it
    best: str  # the measure by which best.keras is chosen, the higher the better
    drawn: Sequence[str]  # the measures in curves.png
    recipe: str | None  # by which all its networks are trained by default; None: by each network's own
    losses: Sequence[str]  # the kinds of loss that there are, as in `TrainConfig`
    samplings: Sequence[str]  # the kinds of sampling, as in `TrainConfig`
    keeps_size: bool  # networks take images as large as the data's, where the size fits, however large they are
    exported: str  # output of an export's serving_default that says which classes; beside it are "probabilities"

    @abc.abstractmethod
    def measures(self, classes: int) -> list[str]:
        """Columns of the history beside the loss, keys of `titles`.

        Args:
            classes: how many the data have.
        """

    @abc.abstractmethod
    def metrics(self, classes: int) -> "list[keras.Metric]":
        """The measures as metrics, called like their columns.

        Args:
            classes: how many the data have.
        """

    @abc.abstractmethod
    def loss(
        self,
        smoothing: float,
        from_logits: bool,
        kind: str = "softmax",
        threshold: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> "keras.Loss":
        """The loss.

        Args:
            smoothing: probability spread evenly over all classes.
            from_logits: the network ends before its softmax.
            kind: "softmax" or "binary", as in `TrainConfig`.
            threshold: of "binary".
            class_weights: one a class; None: all 1.

        Raises:
            InputError: the task, or outputs that are probabilities, have no loss of this kind.
        """

    @abc.abstractmethod
    def output_shape(self, input_shape: Sequence[int], classes: int) -> tuple[int, ...]:
        """Shape of a network's output for one example.

        Args:
            input_shape: (height, width, channels).
            classes: how many the data have.
        """

    @abc.abstractmethod
    def prepare(self, image: Any, input_shape: tuple[int, int, int], preprocessing: Preprocessing) -> Any:
        """One image as the network gets it at inference.

        Args:
            image: uint8 [height, width, channels].
            input_shape: (height, width, channels) of the network.
            preprocessing: the network's constants.

        Returns:
            float32 [*input_shape].
        """

    @abc.abstractmethod
    def check_labels(self, source: "data.Source") -> None:
        """Refuses labels or masks in memory that are not of the classes; `data.load` has checked what it reads.

        Args:
            source: the data set.

        Raises:
            InputError: there is such a label.
        """

    def check_augment(self, augment: str) -> None:
        """Refuses an augmentation that is not there, or for another task.

        Args:
            augment: as in `TrainConfig`.

        Raises:
            InputError: it is.
        """
        from kerascnn.data import augment as augmentations

        augmentations.check(augment, self.name)

    def check_sampling(self, sampling: str) -> None:
        """Refuses a sampling that the task does not have.

        Args:
            sampling: as in `TrainConfig`.

        Raises:
            InputError: it is.
        """
        if sampling not in self.samplings:
            rule = f"Networks for {self.name} are trained with sampling={' or '.join(self.samplings)}"
            raise InputError(f"{rule}. Received: sampling={sampling}")
