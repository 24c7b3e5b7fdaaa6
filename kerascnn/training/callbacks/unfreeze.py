"""Gradual unfreezing: the head alone at first, then one part of the network more after the other."""

from collections.abc import Callable, Sequence

import keras

from kerascnn import surgery
from kerascnn._errors import InputError
from kerascnn.surgery.parts import path_of
from kerascnn.training.config import check_epochs


class Unfreeze(keras.callbacks.Callback):
    """Trains the head alone at first and one part of the network more from each of some epochs on, the last part first.

    What is not trained yet is frozen: its weights and the statistics of its batch norms stay as they are, and files say
    so (`trainable`). Parts that are not reached stay frozen to the end. `training.train` adds this by itself.

    Args:
        model: built; its trainable layers are divided by `surgery.parts`. Those that are never trained are frozen here,
            so that an optimizer may be built for the others afterwards.
        after: for each further part, after how many epochs it is trained too; numbers that do not fall.
        say: is given a line when a part is added; None: nobody is told.

    Raises:
        InputError: the numbers fall or are none, or the network has fewer parts to be trained.

    Source:
        Howard, Ruder: Universal Language Model Fine-tuning for Text Classification, 2018, arXiv:1801.06146, section
        3.3.

    Example:

        hook = Unfreeze(model, after=(2, 4))
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)  # of the head and two parts more
        model.fit(images, labels, epochs=6, callbacks=[hook])
    """

    def __init__(self, model: keras.Model, after: Sequence[int], say: Callable[[str], None] | None = None):
        super().__init__()
        self._after, self._say, self._trained = check_epochs("after", after), say, -1
        groups = [(x.name, [y for y in x.layers if y.trainable_weights]) for x in reversed(surgery.parts(model))]
        groups = [(name, layers) for name, layers in groups if layers]
        if len(self._after) >= len(groups):
            raise InputError(
                f"unfreeze must have at most {len(groups) - 1} numbers: {model.name} has the parts "
                f"{', '.join(name for name, _ in groups)} to be trained. Received: {len(self._after)} numbers"
            )
        self._groups = groups[: len(self._after) + 1]
        for _, layers in groups[len(self._groups) :]:
            _set(layers, False)

    def starts(self, steps: int) -> dict[str, int]:
        """The step from which each weight is trained.

        Args:
            steps: of an epoch.

        Returns:
            Path of a weight -> step, of the parts that are added later.
        """
        added = zip(self._after, self._groups[1:], strict=True)
        return {
            path_of(x, y): epoch * steps for epoch, (_, layers) in added for x in layers for y in x.trainable_weights
        }

    def on_train_begin(self, logs=None):
        self._trained = -1

    def on_epoch_begin(self, epoch, logs=None):
        trained = 1 + sum(epoch >= after for after in self._after)
        if trained == self._trained:
            return
        for index, (_, layers) in enumerate(self._groups):
            _set(layers, index < trained)
        # The compiled step knows which weights are trained and which batch norms use their moving statistics.
        self.model.make_train_function(force=True)
        if self._say and self._trained >= 0:
            names = [name for name, _ in self._groups[self._trained : trained]]
            self._say(f"from epoch {epoch + 1} on {', '.join(names)} {'is' if len(names) == 1 else 'are'} trained, too")
        self._trained = trained


def _set(layers: Sequence[keras.layers.Layer], trainable: bool) -> None:
    for layer in layers:
        layer.trainable = trainable
