"""Knowledge distillation: a student learns from the outputs of a trained network, the teacher, for the same images."""

import keras
import tensorflow as tf

from kerascnn import _check
from kerascnn._preprocessing import Preprocessing
from kerascnn.inference.predictor import Predictor
from kerascnn.models import AuxiliaryModel
from kerascnn.training import teachers, weighting
from kerascnn.training.config import TrainConfig
from kerascnn.training.divergence import DistillationLoss

WEIGHTS = {"soft": 0.9, "hard": 0.5}  # the teacher's part of the loss, where none is given


def distill(
    student: keras.Model,
    teacher: "keras.Model | Predictor",
    *,
    kind: str = "soft",
    temperature: float = 4.0,
    weight: float | None = None,
    preprocessing: Preprocessing | None = None,
) -> None:
    """Makes `fit` minimize `(1 - weight) own + weight distillation`, own being the loss that `compile` was given.

    The teacher is asked at each step about the images that the student gets, augmented and mixed as they are, and works
    as at inference: nothing of it changes. Where it was trained with another mean and deviation they are exchanged,
    where it wants another size the images are resized (bilinear, antialiased), and gray images become colored ones for
    a teacher of color. `evaluate` and the validation of `fit` measure the own loss. Auxiliary heads learn from the
    labels alone, in `own`; penalties of layers (`add_loss`) count once, whatever the weight.

    The teacher is no part of the student: no file of it has anything of the teacher.

    Args:
        student: functional or built sequential, ending in logits or a softmax [batch, classes]. Its `compute_loss` is
            replaced; call this before `fit`, and once.
        teacher: the same of a trained one, or what `inference.checkpoint.load` gives.
        kind: "soft": the teacher's probabilities, softened; "hard": its class. See `training.divergence`.
        temperature: of "soft", > 0.
        weight: in (0, 1]; None: 0.9 for soft and 0.5 for hard, as of arXiv:2012.12877, equation 3.
        preprocessing: what the pixels of the student's images went through; None: what the student says. Where one of
            the two does not say it, the teacher gets the images as they are; `Predictor.from_model` says it for it.

    Raises:
        InputError: the two do not fit, or an argument is out of range.

    Example:

        import keras
        from kerascnn import training

        student.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        training.distill(student, teacher, temperature=2.0, weight=0.7)
        student.fit(images, labels)
    """
    loss = DistillationLoss(kind, temperature, teachers.ending_of(student, "student") != "softmax")
    weight = WEIGHTS[kind] if weight is None else _check.real("weight", weight, 0.0, 1.0, above=True)
    ask = teachers.logits_function(teacher, student, preprocessing)
    own = weighting.own_loss(student)

    def compute_loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total = own(x, y, y_pred, sample_weight, training=training)
        if not training:
            return total
        main = y_pred[0] if isinstance(student, AuxiliaryModel) and isinstance(y_pred, list) else y_pred
        taught = loss(ask(x), main, sample_weight=sample_weight)
        penalties = sum(keras.ops.sum(penalty) for penalty in student.losses)
        return total + weight * (taught + penalties - total)

    student.compute_loss = compute_loss


def as_told(
    config: TrainConfig,
    model: keras.Model,
    teacher: "keras.Model | Predictor | None",
    preprocessing: Preprocessing,
) -> None:
    """`distill` with the settings of a run, under its strategy; each of several devices gets its own copy of a teacher.

    Args:
        config: `distill`, `distill_temperature` and `distill_weight` are used.
        model: the student.
        teacher, preprocessing: see `distill`; without a teacher nothing is done.
    """
    if teacher is None:
        return
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        teacher = teachers.copied(teacher)
    distill(
        model, teacher, kind=config.distill, temperature=config.distill_temperature,
        weight=config.distill_weight or None, preprocessing=preprocessing,
    )  # fmt: skip
