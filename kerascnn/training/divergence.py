"""How far the outputs of a network are from those of another, from which it learns."""

import keras

from kerascnn import _check
from kerascnn.tasks.losses import as_logits, not_empty
from kerascnn.training.config import DISTILLATIONS


@keras.saving.register_keras_serializable(package="kerascnn")
class DistillationLoss(keras.losses.Loss):
    """How far a student's outputs are from a teacher's logits.

    "soft": `T^2 KL(softmax(teacher / T) || softmax(student / T))`, so that the gradients of the logits keep their size
    whatever T is; what PyTorch writes as
    `kl_div(log_softmax(student / T), softmax(teacher / T), reduction="batchmean") * T**2`. Hinton's cross-entropy is
    that and the entropy of the teacher's outputs, which no weight of the student changes. "hard": the cross-entropy of
    the class that the teacher gives the largest logit.

    Args:
        kind: "soft" or "hard".
        temperature: T > 0, of "soft".
        from_logits: whether the student ends before its softmax.
        reduction, name: as for every Keras loss.

    Raises:
        InputError: an argument is something else.

    Source:
        Hinton, Vinyals, Dean 2015 (arXiv:1503.02531), section 2; hard: Touvron et al. 2020 (arXiv:2012.12877),
        equation 3.

    Example:

        import numpy as np

        from kerascnn.training.divergence import DistillationLoss

        DistillationLoss(temperature=2.0)(np.array([[3.0, 1.0]]), np.array([[0.0, 0.0]]))
    """

    def __init__(
        self,
        kind: str = "soft",
        temperature: float = 4.0,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "distillation",
    ):
        super().__init__(name=name, reduction=reduction)
        self.kind = _check.one_of("kind", kind, DISTILLATIONS)
        self.temperature = _check.real("temperature", temperature, 0.0, above=True)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        """Loss of each example.

        Args:
            y_true: logits of the teacher, [batch, classes].
            y_pred: logits or probabilities of the student, [batch, classes].

        Returns:
            Float tensor [batch]; a zero for an empty batch.
        """
        logits = as_logits(y_pred, self.from_logits)
        if self.kind == "hard":
            classes = keras.ops.argmax(y_true, axis=-1)
            return not_empty(keras.ops.sparse_categorical_crossentropy(classes, logits, from_logits=True))
        wanted, found = (keras.ops.log_softmax(x / self.temperature) for x in (y_true, logits))
        return not_empty(self.temperature**2 * keras.ops.sum(keras.ops.exp(wanted) * (wanted - found), axis=-1))

    def get_config(self):
        own = {"kind": self.kind, "temperature": self.temperature, "from_logits": self.from_logits}
        return {**super().get_config(), **own}
