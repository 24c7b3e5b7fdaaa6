"""Networks that are asked in a model's place: made once, compiled where that pays, and never of yesterday."""

import gc
import weakref

import keras
import numpy as np
import pytest

from kerascnn import explain
from kerascnn.explain.prepared import prepared

L = keras.layers
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 12, 12, 2)).astype("float32")


def network(end="softmax"):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((12, 12, 2))
    x = L.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(5, activation=end, name="head")(x))


METHODS = [
    explain.grad_cam, explain.gradients, explain.guided_backprop, explain.integrated_gradients, explain.occlusion,
    explain.smoothgrad, explain.cam,
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
@pytest.mark.parametrize("target", [None, [0, 3, 1]])
def test_compiled_is_what_eager_was(method, target):
    """The first calls are eager; with one image at a time the later ones are compiled, with odd batches too."""
    model = network()
    first = method(model, IMAGES, target)
    for batch_size in (1, 2, 3):
        again = method(model, IMAGES, target, batch_size=batch_size)
        np.testing.assert_array_equal(again.target, first.target)
        for name in ("maps", "raw", "scores"):
            np.testing.assert_allclose(getattr(again, name), getattr(first, name), rtol=1e-4, atol=1e-6, err_msg=name)
    assert prepared(model)._compiled


def test_a_network_is_made_once():
    model = network()
    made = prepared(model)
    explain.grad_cam(model, IMAGES)
    explain.grad_cam(model, IMAGES, layer="conv")
    assert prepared(model) is made and len(made._derived) == 2
    explain.grad_cam(model, IMAGES, layer="conv")
    assert len(made._derived) == 2


def test_what_is_kept_does_not_keep_the_model():
    for end in (None, "softmax"):  # without a softmax the model itself could be what is asked
        model = network(end)
        for _ in range(3):
            explain.gradients(model, IMAGES)
        assert prepared(model)._compiled
        gone = weakref.ref(model)
        del model
        keras.backend.clear_session()
        gc.collect()
        assert gone() is None, end


def test_new_values_of_weights_are_seen():
    model, other = network(), network()
    for _ in range(3):
        explain.grad_cam(model, IMAGES, 2)
    changed = [value + RANDOM.uniform(0.1, 0.5, value.shape) for value in model.get_weights()]
    model.set_weights(changed)
    other.set_weights(changed)
    np.testing.assert_allclose(
        explain.grad_cam(model, IMAGES, 2).raw, explain.grad_cam(other, IMAGES, 2).raw, rtol=1e-5, atol=1e-7
    )


def test_an_adapter_that_is_put_on_is_seen():
    model = network()
    for _ in range(3):
        before = explain.gradients(model, IMAGES, 2)
    head = model.get_layer("head")
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.ones(head.lora_kernel_b.shape))
    after = explain.gradients(model, IMAGES, 2)
    assert abs(after.scores - before.scores).max() > 1e-3
    linear = keras.Model(model.input, model.get_layer("head").input)(IMAGES) @ head.kernel + head.bias
    np.testing.assert_allclose(after.scores, linear[:, 2], rtol=1e-5)


def test_a_layer_added_to_a_sequential_model_is_seen():
    model = keras.Sequential([keras.Input((12, 12, 2)), L.Conv2D(4, 3), L.GlobalAveragePooling2D()])
    for _ in range(3):
        explain.gradients(model, IMAGES, 2)
    model.add(L.Rescaling(-3.0))
    model.add(L.Activation("linear"))
    np.testing.assert_allclose(explain.gradients(model, IMAGES, 2).scores, model(IMAGES)[:, 2], rtol=1e-5)


def test_half_precision_is_copied_anew():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy("float32")
    before = explain.gradients(model, IMAGES, 2).scores
    model.get_layer("head").bias.assign(np.full(5, 7.0))
    np.testing.assert_allclose(explain.gradients(model, IMAGES, 2).scores, before + 7.0, rtol=1e-5)


def test_functions_of_outputs_are_called_each_time():
    model, calls = network(), []

    def difference(outputs):
        calls.append(outputs.shape)
        return outputs[:, 0] - outputs[:, 1]

    for _ in range(4):
        found = explain.gradients(model, IMAGES, difference)
    assert calls == [(3, 5)] * 4 and (found.target == -1).all()
    logits = [explain.gradients(model, IMAGES, number).scores for number in (0, 1)]
    np.testing.assert_allclose(found.scores, logits[0] - logits[1], rtol=1e-5, atol=1e-6)


def test_sizes_of_images_may_differ():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 2))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(x))
    model = keras.Model(inputs, L.Dense(5)(x))
    for size in (12, 9, 12, 9, 12, 9):
        images = IMAGES[:, :size, :size]
        found = explain.gradients(model, images, 1)
        assert found.maps.shape == (3, size, size)
        np.testing.assert_allclose(found.scores, model(images)[:, 1], rtol=1e-5)
    assert len(prepared(model)._compiled) == 2
