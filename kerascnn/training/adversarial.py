"""Adversarial training: a part of each batch is attacked before the step."""

import keras
import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.attacks import anywhere, climb, loss_of
from kerascnn.explain.pixel_box import PixelBox
from kerascnn.surgery import logits_of
from kerascnn.tasks import Task
from kerascnn.training.config import ATTACKS, TrainConfig


def train_adversarially(
    model: keras.Model,
    *,
    attack: str = "pgd",
    epsilon: float = 8.0,
    step: float = 2.0,
    steps: int = 10,
    part: float = 1.0,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
) -> None:
    """Makes `fit` learn from images that are attacked at each step, as the network is at that step.

    The attack sees the network as at inference, with the statistics of its batch norms, and its main output alone, and
    makes the cross-entropy with the labels large, mixed ones too. Measures of the training are those on what was
    trained on; `evaluate` and the validation of `fit` see images as they are. Each step of an attack costs about as
    much as a training step.

    Source: Goodfellow, Shlens, Szegedy 2014, arXiv:1412.6572, section 6, for "fgsm", there with `part=0.5`; Madry et
    al. 2017, arXiv:1706.06083, for "pgd", with the defaults of the authors' CIFAR-10 release.

    Args:
        model: a compiled classifier, functional or built sequential, of float images [n, height, width, channels]. Its
            `train_step` is replaced; call this before `fit`, and once.
        attack: "fgsm": one step of `epsilon`; "pgd": `steps` of `step` from anywhere in the ball.
        epsilon: the largest change of a pixel, in pixels of 0 to 255 of the image files.
        step, steps: of "pgd".
        part: of each batch that is attacked, the first images of it, rounded; the others are learned from as they are.
        seed: of the starts, which differ from step to step and from device to device.
        preprocessing: what the pixels went through; None: what the model says.

    Raises:
        InputError: an argument cannot be used, or it is not known what the pixels went through.

    Example:

        import keras
        from kerascnn import training

        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        training.train_adversarially(model, attack="fgsm", epsilon=8, part=0.5)
        model.fit(images, labels)
    """
    attack = _check.one_of("attack", attack, ATTACKS[1:])
    epsilon, step = _check.real("epsilon", epsilon, 0.0, 255.0), _check.real("step", step, 0.0, 255.0, above=True)
    steps, seed = _check.whole("steps", steps, 1), _check.whole("seed", seed, 0, 2**31 - 1)
    part = _check.real("part", part, 0.0, 1.0, above=True)
    network = logits_of(model)
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4 or len(network.outputs[0].shape) != 2:
        shapes = [tuple(x.shape) for x in (*network.inputs, *network.outputs)]
        raise InputError(f"Adversarial training needs a classifier of one image. Received: inputs and outputs {shapes}")
    box = PixelBox.of(model, network.inputs[0].shape[-1], preprocessing)
    if attack == "fgsm":
        step, steps = epsilon, 1
    own = model.train_step

    def attacked(images, labels):
        start = images
        if attack == "pgd":
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            taken = tf.cast(tf.convert_to_tensor(model.optimizer.iterations), tf.int32)
            start = anywhere(images, box, epsilon, tf.stack([seed + 7919 * tf.cast(device, tf.int32), taken]))
        found = climb(loss_of(network, labels), images, start, box, epsilon=epsilon, step=step, steps=steps)
        return tf.stop_gradient(found)

    def train_step(data):
        images, labels, *rest = data
        images = tf.cast(images, tf.float32)
        if part == 1:
            return own((attacked(images, labels), labels, *rest))
        count = tf.cast(tf.round(part * tf.cast(tf.shape(images)[0], tf.float32)), tf.int32)
        changed = attacked(images[:count], labels[:count])
        return own((tf.concat([changed, images[count:]], axis=0), labels, *rest))

    model.train_step = train_step


def check(config: TrainConfig, task: Task) -> None:
    """Refuses adversarial training for another task than classification.

    Raises:
        InputError: it is another one.
    """
    if config.adversarial != "none" and task.name != "classification":
        raise InputError(f"adversarial training is for classification. Received: adversarial={config.adversarial}")


def as_told(config: TrainConfig, model: keras.Model, preprocessing: Preprocessing) -> None:
    """`train_adversarially` with the settings of a run; nothing is done where it asks for none.

    Args:
        config: `adversarial`, `adversarial_epsilon`, `_step`, `_steps` and `_part`, and `seed` are used.
        model, preprocessing: see `train_adversarially`.
    """
    if config.adversarial != "none":
        train_adversarially(
            model, attack=config.adversarial, epsilon=config.adversarial_epsilon, step=config.adversarial_step,
            steps=config.adversarial_steps, part=config.adversarial_part, seed=config.seed,
            preprocessing=preprocessing,
        )  # fmt: skip
