"""A student learns from a teacher: the loss beside PyTorch's, the images that the teacher sees, runs that resume."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import training
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, IMAGENET, INCEPTION
from kerascnn.data.preprocessing import normalize_image
from kerascnn.inference import Predictor
from kerascnn.models import AuxiliaryModel
from kerascnn.tasks.losses import SmoothedCrossentropy
from kerascnn.training import TrainConfig, teachers
from kerascnn.training.divergence import DistillationLoss

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())  # tools/loss_peers.py
TEACHER, LOGITS = (np.array(GOLDEN["inputs"][name], "float32") for name in ("teacher", "logits"))
NAMES = tuple("0123456789")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def dense(name="main", shape=(3,), classes=4, activation=None, seed=0, **options):
    """A model whose weights follow from the seed."""
    inputs = keras.Input(shape)
    layer = keras.layers.Dense(classes, activation=activation, name=name, **options)
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def numbers(model, x):
    return np.asarray(model(x), "float64")


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_soft_loss_is_pytorchs(temperature):
    """kl_div(..., reduction="batchmean") * T^2, and its gradient; and the formula."""
    expected, loss = GOLDEN[f"distillation {temperature}"], DistillationLoss(temperature=temperature)
    with tf.GradientTape() as tape:
        tape.watch(logits := tf.constant(LOGITS))
        value = loss(TEACHER, logits)
    assert float(value) == pytest.approx(expected["mean"], rel=1e-5)
    np.testing.assert_allclose(tape.gradient(value, logits), expected["gradient"], rtol=1e-4, atol=1e-6)
    wanted, found = softmax(TEACHER / temperature), softmax(LOGITS / temperature)
    formula = temperature**2 * (wanted * np.log(wanted / found)).sum(1).mean()
    assert float(value) == pytest.approx(formula, rel=1e-5)
    on_probabilities = DistillationLoss(temperature=temperature, from_logits=False)
    assert float(on_probabilities(TEACHER, softmax(LOGITS))) == pytest.approx(formula, rel=1e-4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(TEACHER, LOGITS)) == float(value)
    assert float(loss(TEACHER, TEACHER)) == pytest.approx(0, abs=1e-6)
    assert float(loss(TEACHER[:0], LOGITS[:0])) == 0


def test_the_hard_loss_is_that_of_the_teachers_class():
    expected = -np.log(softmax(LOGITS)[np.arange(6), TEACHER.argmax(1)]).mean()
    assert float(DistillationLoss("hard", 9.0)(TEACHER, LOGITS)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "weight"), [("soft", None), ("hard", None), ("soft", 1.0)])
@pytest.mark.parametrize("form", ["plain", "auxiliary", "softmax"])
def test_what_fit_minimizes(form, kind, weight):
    """(1 - w) own + w distillation; penalties count once; the validation is the own loss."""
    teacher = dense("taught", seed=5)
    student = dense(activation="softmax" if form == "softmax" else None, kernel_regularizer=keras.regularizers.L2(0.1))
    main = dense(kernel_regularizer=None)  # the same weights
    aux = keras.layers.Dense(4, name="aux")
    if form == "auxiliary":
        student = AuxiliaryModel(student.input, [student.output, aux(student.input)], auxiliary_weights=[0.3])
    own = SmoothedCrossentropy(0.1, from_logits=form != "softmax")
    student.compile(keras.optimizers.SGD(0.0), own, jit_compile=False)
    training.distill(student, teacher, kind=kind, temperature=2.0, weight=weight)
    x, y = np.random.default_rng(1).random((6, 3), "float32"), np.array([0, 3, 1, 1, 2, 0])
    measured = student.fit(x, y, batch_size=6, validation_data=(x, y), verbose=0).history

    def crossentropy(z):
        return -((0.9 * np.eye(4)[y] + 0.025) * np.log(softmax(z))).sum(1).mean()

    z, t = numbers(main, x), numbers(teacher, x)
    if kind == "soft":
        taught = 4 * (softmax(t / 2) * np.log(softmax(t / 2) / softmax(z / 2))).sum(1).mean()
    else:
        taught = -np.log(softmax(z)[np.arange(6), t.argmax(1)]).mean()
    labels = crossentropy(z) + (0.3 * crossentropy(numbers(aux, x)) if form == "auxiliary" else 0)
    penalty = 0.1 * (main.get_weights()[0] ** 2).sum()
    part = weight or {"soft": 0.9, "hard": 0.5}[kind]
    assert measured["loss"][0] == pytest.approx((1 - part) * labels + part * taught + penalty, rel=1e-4)
    assert measured["val_loss"][0] == pytest.approx(crossentropy(z) + penalty, rel=1e-4)


def test_the_teacher_works_as_at_inference_and_stays_as_it_is(network, tmp_path):
    teacher, student = network(), network(dropout=0)
    x, y = np.random.default_rng(0).random((16, 8, 8, 1), "float32"), np.arange(16) % 10
    before, answers = teacher.get_weights(), teacher.predict(x, verbose=0)
    student.compile("sgd", SmoothedCrossentropy(), jit_compile=False)
    training.distill(student, teacher)
    asked = teachers.logits_function(teacher, student, None)
    np.testing.assert_allclose(tf.function(asked)(x), answers, rtol=1e-5, atol=1e-6)
    student.fit(x, y, epochs=1, verbose=0)
    for was, now in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    student.save(tmp_path / "student.keras")
    again = keras.models.load_model(tmp_path / "student.keras")
    assert [w.shape for w in again.weights] == [w.shape for w in student.weights]
    np.testing.assert_allclose(again.predict(x, verbose=0), student.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def predictor(shape, preprocessing, seed=3, classes=10, activation="softmax"):
    model = dense(shape=shape, classes=classes, seed=seed, activation=activation)
    return Predictor.from_model(model, NAMES[:classes], preprocessing=preprocessing, logits=activation is None)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((6, 6, 3), (6, 6, 3)), ((6, 6, 1), (6, 6, 3)), ((6, 6, 1), (6, 6, 1)), ((6, 8, 3), (9, 12, 3))],
    ids=str,
)
def test_the_teacher_gets_the_images_as_it_takes_them(given, wanted):
    """Another mean and deviation, another size, color for gray: as if the pixels had been prepared for it."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, *given)).astype(np.uint8)
    teacher, student = predictor(wanted, INCEPTION), dense(shape=given, classes=10)
    found = teachers.logits_function(teacher, student, IMAGENET.for_channels(given[2]))(
        normalize_image(tf.constant(pixels), IMAGENET)
    )
    seen = np.repeat(pixels, wanted[2] // given[2], axis=-1).astype("float32")
    seen = tf.image.resize(seen, wanted[:2], antialias=True) if wanted[:2] != given[:2] else seen
    answers = teacher.predict((np.asarray(seen) / 255 - 0.5) / 0.5)
    np.testing.assert_allclose(softmax(np.asarray(found)), answers, rtol=1e-3, atol=1e-6)


def test_an_ensemble_that_averages_probabilities_can_teach():
    parts = [dense(shape=(3,), seed=seed, activation="softmax") for seed in (1, 2)]
    inputs = keras.Input((3,))
    mean = keras.Model(inputs, keras.layers.Average()([part(inputs) for part in parts]))
    x = np.random.default_rng(0).random((5, 3), "float32")
    found = teachers.logits_function(mean, dense(), None)(x)
    np.testing.assert_allclose(softmax(np.asarray(found)), numbers(mean, x), rtol=1e-5)


def test_what_cannot_teach(source):
    student = dense(shape=(8, 8, 1), classes=10)

    def refused(match, teacher, student=student, **options):
        with pytest.raises(InputError, match=match):
            training.distill(student, teacher, **options)

    refused("same classes. Received: 7 of the teacher, 10", dense(shape=(8, 8, 1), classes=7))
    refused("ends in logits or in a softmax. Received: sigmoid", dense(classes=10, activation="sigmoid"))
    refused(
        "of 3 channels, as the student does. Received: 1", dense(shape=(8, 8, 1), classes=10), dense("a", (8, 8, 3), 10)
    )
    refused("of the student's form.*Received: 4 x 8 for 8 x 8", dense(shape=(4, 8, 1), classes=10))
    refused("The teacher must be a keras.Model", "resnet50")
    refused("temperature must be a finite number", student, temperature=0.0)
    refused(r"weight must be a finite number in \(0, 1\]", student, weight=1.5)
    refused("kind must be one of soft, hard", student, kind="warm")
    teacher, config = predictor((8, 8, 1), CIFAR.for_channels(1)), TrainConfig()
    teachers.check(teacher, config, source)
    turned = dataclasses.replace(teacher, class_names=NAMES[::-1])
    for other, settings, match in (
        (turned, {}, "classes of the data, in their order. Received: '9' in the place of '0'"),
        (dense(classes=7), {}, "the 10 classes of the data. Received: 7"),
        (teacher, {"loss": "binary"}, "loss=softmax. Received: loss=binary"),
        (None, {"distill": "hard"}, "distill is for training with a teacher. Received: distill=hard"),
    ):
        with pytest.raises(InputError, match=match):
            teachers.check(other, TrainConfig(**settings), source)
    with pytest.raises(InputError, match="A teacher is for classification. Received: data for segmentation"):
        teachers.check(teacher, config, dataclasses.replace(source, task="segmentation"))


@pytest.mark.after
def test_a_run_with_a_teacher_resumes_with_the_same_one_alone(tmp_path, train, network, same_history):
    """Mixed images, classes weighted and drawn equally often beside it; the files have nothing of the teacher."""
    settings = {"warmup_epochs": 0.0, "schedule": "constant", "augment": "mixup(0.2)", "distill_temperature": 2.0}
    settings |= {"class_weights": "1,2,3,4,5,5,4,3,2,1", "sampling": "balanced", "mixed_precision": "bfloat16"}
    teacher, other = (predictor((8, 8, 1), CIFAR.for_channels(1), seed) for seed in (3, 4))
    train(tmp_path / "whole", epochs=2, teacher=teacher, **settings)
    train(tmp_path / "run", epochs=1, teacher=teacher, **settings)
    plain = {name: value for name, value in settings.items() if name != "distill_temperature"}
    for given, fields, words in (
        (other, settings, r'teacher.digest was "\w+", now "'),
        (None, plain, r'teacher.digest was "\w+", now null'),
        (teacher, {**settings, "class_weights": "none"}, "class_weights was"),
        (teacher, {**settings, "sampling": "shuffle"}, "sampling was"),
    ):
        with pytest.raises(InputError, match=words):
            train(tmp_path / "run", epochs=2, teacher=given, **fields)
    assert train(tmp_path / "run", epochs=2, teacher=teacher, **settings).first_epoch == 1
    same_history(tmp_path / "whole" / "history.csv", tmp_path / "run" / "history.csv")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["teacher"] == teachers.record(teacher) and len(config["teacher"]["digest"]) == 32
    for file in ("best.keras", "checkpoints/epoch_0002.keras"):
        model = keras.models.load_model(tmp_path / "run" / file, compile=False)
        assert model.count_params() == network().count_params()


@pytest.mark.after
def test_devices_share_the_loss_of_one(tmp_path, train, network):
    """Two virtual devices, each with a copy of the teacher, end as one does."""
    teacher = predictor((8, 8, 1), INCEPTION.for_channels(1))
    rows = [
        train(
            tmp_path / name, lambda: network(batch_norm=False, dropout=0), teacher=teacher, epochs=1, strategy=name
        ).rows[0]
        for name in ("one", "mirrored")
    ]
    for name in ("loss", "val_loss"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-4)
