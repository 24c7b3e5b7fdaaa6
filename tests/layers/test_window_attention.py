"""kerascnn.layers.WindowAttention against loops over places, its files, its gradients, and refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import POLICIES, check_export, check_round_trip, check_training, check_training_by_xla, images

from kerascnn._errors import InputError
from kerascnn.layers import WindowAttention

MAPS = [(6, 9, 3, 0), (6, 9, 3, 1), (3, 9, 3, 1), (8, 4, 4, 2), (4, 4, 4, 2)]  # height, width, window, shift


def by_loops(qkv, table, heads, window, shift):
    """Each place attends to the places whose window it shares, windows being counted from the shift on."""
    _, *sizes, depth = qkv.shape
    query, key, value = np.split(qkv.astype("float64"), 3, axis=-1)
    shifts = [shift if size > window else 0 for size in sizes]
    places = list(np.ndindex(*sizes))
    own = {place: tuple((p - s) // window for p, s in zip(place, shifts, strict=True)) for place in places}
    y, width = np.zeros_like(query), depth // 3 // heads
    for row, column in places:
        near = [place for place in places if own[place] == own[row, column]]
        offsets = [(row - r + window - 1) * (2 * window - 1) + column - c + window - 1 for r, c in near]
        rows, columns = np.transpose(near)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            logits = np.einsum("nd,nkd->nk", query[:, row, column, part], key[:, rows, columns, part])
            logits = np.exp(logits / np.sqrt(width) + table[offsets, head])
            weights = logits / logits.sum(axis=1, keepdims=True)
            y[:, row, column, part] = np.einsum("nk,nkd->nd", weights, value[:, rows, columns, part])
    return y


def attention(window, shift, heads=2, channels=24):
    """A layer with a random table."""
    layer = WindowAttention(heads, window, shift)
    layer.build((None, None, None, channels))
    table = images((2 * window - 1) ** 2, heads)
    layer.set_weights([table])
    return layer, table


@pytest.mark.parametrize("height, width, window, shift", MAPS)
def test_equals_loops(height, width, window, shift):
    layer, table = attention(window, shift)
    x = images(2, height, width, 24)
    y = by_loops(x, table, 2, window, shift)
    np.testing.assert_allclose(layer(x), y, atol=2e-6)
    unknown = tf.function(layer.call, input_signature=[tf.TensorSpec((None, None, None, 24))])
    np.testing.assert_allclose(unknown(x), y, atol=2e-6)


def test_gradients_are_those_of_differences():
    keras.config.set_dtype_policy("float64")
    layer, _ = attention(2, 1, channels=6)
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 4, 4, 6)))
    table = layer.relative_position_bias_table

    def output(x, bias):
        table.assign(bias)
        return layer(x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.sin(layer(x)))
    of_x, of_table = tape.gradient(loss, [x, table.value])
    assert isinstance(of_table, tf.Tensor)  # not slices, which some optimizers treat otherwise
    step, start = 1e-6, table.numpy()
    for index in [(0, 0, 0, 0), (0, 3, 1, 5), (0, 2, 2, 3)]:
        moved = x.numpy()
        moved[index] += step
        change = (tf.reduce_sum(tf.sin(output(moved, start))) - loss) / step
        np.testing.assert_allclose(change, of_x[index], rtol=1e-4, atol=1e-6)
    for index in [(4, 0), (0, 1), (8, 1)]:
        moved = start.copy()
        moved[index] += step
        change = (tf.reduce_sum(tf.sin(output(x, moved))) - loss) / step
        np.testing.assert_allclose(change, of_table[index], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
def test_training(policy):
    check_training(lambda: [WindowAttention(2, 3, 1)], (6, 6, 24), policy)


def test_training_by_xla():
    check_training_by_xla(keras.Sequential([keras.layers.Dense(24), WindowAttention(2, 3, 1)]), (6, 6, 8))


def test_file_and_export(tmp_path):
    check_round_trip([WindowAttention(2, 3), WindowAttention(1, 2, 1)], (6, 6, 36), tmp_path)
    model = keras.Sequential([keras.layers.ZeroPadding2D(((0, 0), (0, 1))), WindowAttention(2, 3, 1)])
    check_export(model, 24, tmp_path)


@pytest.mark.parametrize("arguments", [(0, 7), (2, 0), (2, 7, 7), (2, 7, -1), (2, 7.0)])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(InputError, match="Received"):
        WindowAttention(*arguments)


@pytest.mark.parametrize("shape, rule", [((6, 7, 12), "multiples of the window, 3"), ((6, 6, 8), "multiple of 6")])
def test_maps_that_do_not_fit_are_refused(shape, rule):
    with pytest.raises(InputError, match=rule):
        WindowAttention(2, 3)(keras.Input(shape))


def test_tables_of_other_windows_are_resized():
    layer, table = attention(3, 0)
    (same,) = layer.resized([table])
    np.testing.assert_allclose(same, table, atol=1e-6)
    ramp = np.stack([np.repeat(np.arange(9.0), 9), np.tile(np.arange(9.0), 9)], axis=1).astype("float32")  # window 5
    (smaller,) = layer.resized([ramp])
    rows, columns = smaller.T.reshape(2, 5, 5)
    np.testing.assert_allclose(rows, columns.T, atol=1e-5)
    np.testing.assert_allclose(rows[1:4, 2], [2.2, 4.0, 5.8], atol=0.05)  # centers of fifths of nine places
    for other in (np.zeros((24, 2), "float32"), np.zeros((16, 2), "float32"), np.zeros(25, "float32")):
        assert layer.resized([other])[0] is other
