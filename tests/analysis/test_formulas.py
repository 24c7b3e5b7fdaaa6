"""The multiply-adds of every class of layers, against numbers done by hand."""

import inspect

import keras
import pytest

from kerascnn import analysis, layers
from kerascnn.analysis import formulas

L = keras.layers
# What Keras' classes have neither formula nor freedom: they run code that only the user knows, or a Fourier transform.
REPORTED = {"FlaxLayer", "JaxLayer", "Lambda", "MelSpectrogram", "Pipeline", "TFSMLayer", "TorchModuleWrapper"}
NO_LAYERS = {"InputSpec", "Layer", "Wrapper"}


def cost(layer, *shapes, dtype="float32", **arguments):
    """What one call of a layer costs on inputs of these shapes, batch not given."""
    inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
    several = isinstance(layer, L.Dot | L.Attention | L.AdditiveAttention)
    outputs = layer(inputs, **arguments) if several else layer(*inputs, **arguments)
    model = keras.Model(inputs, outputs)
    found = analysis.count(model)
    assert found.unknown == ()
    assert found.params_trainable + found.params_other == model.count_params()
    assert sum(row.macs for row in found.layers) == found.macs
    return found


LSTM, GRU = 4 * (5 + 6) * 6, 3 * (5 + 6) * 6  # 5 features, 6 units
PROJECTIONS = 7 * 12 * (3 * 4) + 5 * 10 * (3 * 4) + 5 * 10 * (3 * 6) + 7 * (3 * 6) * 12
SCORES = 7 * 5 * 3 * (4 + 6)

CASES = {
    "dense": (L.Dense(3), [(7, 5)], 7 * 15),
    "einsum dense": (L.EinsumDense("abc,cde->abde", (None, 3, 2)), [(7, 5)], 7 * 5 * 3 * 2),
    "einsum dense, axes between": (L.EinsumDense("...x,xy->...y", 4), [(7, 2, 5)], 7 * 2 * 5 * 4),
    "conv1d": (L.Conv1D(4, 3, padding="causal"), [(9, 2)], 9 * 3 * 2 * 4),
    "conv2d, strides": (L.Conv2D(4, (3, 5), 2, "same"), [(9, 8, 2)], 5 * 4 * 15 * 2 * 4),
    "conv2d, groups": (L.Conv2D(4, 3, groups=2), [(9, 9, 6)], 7 * 7 * 9 * 3 * 4),
    "conv2d, dilation": (L.Conv2D(4, 3, dilation_rate=2), [(9, 9, 6)], 5 * 5 * 9 * 6 * 4),
    "conv2d, channels first": (L.Conv2D(4, 3, data_format="channels_first"), [(2, 9, 8)], 7 * 6 * 9 * 2 * 4),
    "conv3d": (L.Conv3D(2, 3), [(5, 6, 7, 2)], 3 * 4 * 5 * 27 * 2 * 2),
    "conv1d transposed": (L.Conv1DTranspose(4, 3, 2), [(9, 2)], 9 * 3 * 2 * 4),
    "conv2d transposed": (L.Conv2DTranspose(3, 4, 2), [(5, 5, 2)], 25 * 16 * 2 * 3),
    "conv3d transposed": (L.Conv3DTranspose(3, 2, 2), [(2, 3, 4, 2)], 24 * 8 * 2 * 3),
    "depthwise 1d": (L.DepthwiseConv1D(3, depth_multiplier=2), [(9, 4)], 7 * 3 * 4 * 2),
    "depthwise 2d": (L.DepthwiseConv2D(3), [(9, 9, 4)], 49 * 9 * 4),
    "separable 1d": (L.SeparableConv1D(5, 3), [(9, 4)], 7 * (3 * 4 + 4 * 5)),
    "separable 2d": (L.SeparableConv2D(5, 3, depth_multiplier=2), [(9, 9, 4)], 49 * (9 * 8 + 8 * 5)),
    "own conv": (layers.Conv2D(4, 3, 2, 1, groups=2), [(8, 8, 6)], 16 * 9 * 3 * 4),
    "plain conv": (layers.PlainConv2D(4, 3, padding="same"), [(8, 8, 6)], 64 * 9 * 6 * 4),
    "own depthwise": (layers.DepthwiseConv2D(3, 2, 1), [(8, 8, 6)], 16 * 9 * 6),
    "deformable": (layers.DeformableConv2D(4, 3, padding="same"), [(8, 8, 6)], 64 * 9 * 6 * (4 + 27)),
    "deformable, version 1": (
        layers.DeformableConv2D(4, 3, padding="same", modulated=False, offset_groups=2),
        [(8, 8, 6)],
        64 * 9 * 6 * (4 + 36),
    ),
    "connection table": (layers.ConnectionTableConv2D(((0, 1), (1,)), 3), [(5, 5, 2)], 9 * 9 * 3),
    "performer": (layers.PerformerAttention(5), [(7, 12)], 7 * 5 * (4 * 4 + 1)),
    "unfolded": (layers.Unfold2D(3), [(8, 8, 2)], 0),
    "windows": (layers.WindowAttention(2, 4, 1), [(8, 12, 18)], 8 * 12 * 16 * (6 + 6)),
    "embedding": (L.Embedding(50, 8), [(6,)], 0),
    "dot": (L.Dot(axes=(2, 1)), [(7, 5), (5, 3)], 7 * 5 * 3),
    "dot of vectors": (L.Dot(axes=1), [(5,), (5,)], 5),
    "attention": (L.Attention(), [(7, 4), (5, 6), (5, 4)], 7 * 5 * (4 + 6)),
    "attention by sums": (L.Attention(score_mode="concat"), [(7, 4), (5, 4)], 7 * 5 * 4),
    "additive attention": (L.AdditiveAttention(), [(7, 4), (5, 4)], 7 * 5 * (4 + 4)),
    "multi-head attention": (L.MultiHeadAttention(3, 4, 6), [(7, 12), (5, 10)], PROJECTIONS + SCORES),
    "multi-head attention over one axis": (
        L.MultiHeadAttention(2, 4, attention_axes=(2,)),
        [(3, 7, 8), (3, 7, 8)],
        21 * 4 * 8 * 8 + 21 * 7 * 2 * 8,
    ),
    "simple rnn": (L.SimpleRNN(6), [(7, 5)], 7 * (5 + 6) * 6),
    "lstm": (L.LSTM(6, return_sequences=True, return_state=True), [(7, 5)], 7 * LSTM),
    "gru": (L.GRU(6), [(7, 5)], 7 * GRU),
    "cell": (L.RNN(L.GRUCell(6)), [(7, 5)], 7 * GRU),
    "stacked cells": (L.RNN([L.LSTMCell(6), L.SimpleRNNCell(3)]), [(7, 5)], 7 * (LSTM + (6 + 3) * 3)),
    "bidirectional": (L.Bidirectional(L.LSTM(6, return_state=True)), [(7, 5)], 2 * 7 * LSTM),
    "convolutional lstm 1d": (L.ConvLSTM1D(4, 3), [(7, 9, 2)], 7 * 7 * 3 * (2 + 4) * 16),
    "convolutional lstm 2d": (
        L.ConvLSTM2D(4, 3, padding="same", return_sequences=True),
        [(7, 9, 8, 2)],
        7 * 72 * 9 * (2 + 4) * 16,
    ),
    "bidirectional convolutional lstm": (
        L.Bidirectional(L.ConvLSTM2D(4, 3, padding="same", return_sequences=True)),
        [(7, 9, 8, 2)],
        2 * 7 * 72 * 9 * (2 + 4) * 16,
    ),
    "every time step": (L.TimeDistributed(L.Conv2D(4, 3)), [(7, 5, 5, 2)], 7 * 9 * 9 * 2 * 4),
    "a model at every time step": (
        L.TimeDistributed(keras.Sequential([keras.Input((5,)), L.Dense(3), L.Dense(2)])),
        [(7, 5)],
        7 * (15 + 6),
    ),
    "spectral norm": (L.SpectralNormalization(L.Dense(3)), [(5,)], 15),
    "spectrogram": (L.STFTSpectrogram("real", 8, 4, 8, window=None), [(20, 1)], 4 * 8 * 5),
}
if hasattr(L, "GroupQueryAttention"):
    CASES["grouped queries"] = (
        L.GroupQueryAttention(4, 6, 2),
        [(7, 12), (5, 12)],
        7 * 12 * 24 * 2 + 2 * 5 * 12 * 8 + 7 * 5 * 6 * 8,
    )


@pytest.mark.parametrize("case", CASES)
def test_macs_by_hand(case):
    layer, shapes, macs = CASES[case]
    assert cost(layer, *shapes).macs == macs


def test_arguments_by_name_in_any_order():
    q, k, v = (keras.Input(shape) for shape in ((7, 12), (5, 9), (5, 10)))
    layer = L.MultiHeadAttention(3, 4, 6, use_gate=True)
    outputs = layer(key=k, value=v, query=q)
    expected = 7 * 12 * 12 + 5 * 9 * 12 + 5 * 10 * 18 + SCORES + 7 * 18 * 12 + 7 * 12 * 18  # the gate comes last
    assert analysis.count(keras.Model([q, k, v], outputs)).macs == expected


@pytest.mark.skipif(not hasattr(L, "ReversibleEmbedding"), reason="this Keras lacks it")
def test_an_embedding_read_backwards():
    layer = L.ReversibleEmbedding(50, 8)
    inputs = keras.Input((6,))
    assert analysis.count(keras.Model(inputs, layer(layer(inputs), reverse=True))).macs == 6 * 8 * 50


OPERATIONS = {
    "matmul": (lambda x, y: keras.ops.matmul(x, y), [(7, 5), (5, 3)], 7 * 5 * 3),
    "matmul by a constant": (lambda x: keras.ops.matmul(x, keras.ops.ones((5, 3))), [(7, 5)], 7 * 5 * 3),
    "einsum": (lambda x, y: keras.ops.einsum("bij,bjk->bik", x, y), [(7, 5), (5, 3)], 7 * 5 * 3),
    "tensordot": (lambda x: keras.ops.tensordot(x, keras.ops.ones((5, 3)), 1), [(7, 5)], 7 * 5 * 3),
    "conv": (lambda x: keras.ops.conv(x, keras.ops.ones((3, 3, 2, 4))), [(9, 9, 2)], 49 * 9 * 8),
    "depthwise conv": (lambda x: keras.ops.depthwise_conv(x, keras.ops.ones((3, 3, 2, 1))), [(9, 9, 2)], 49 * 18),
    "attention": (
        lambda q, k, v: keras.ops.dot_product_attention(q, k, v),
        [(7, 2, 4), (5, 2, 4), (5, 2, 4)],
        2 * 7 * 5 * 8,
    ),
    "elementwise": (lambda x, y: keras.ops.relu(x + y * 2)[:, :3], [(7, 5), (7, 5)], 0),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_macs_of_operations(case):
    function, shapes, macs = OPERATIONS[case]
    inputs = [keras.Input(shape) for shape in shapes]
    found = analysis.count(keras.Model(inputs, function(*inputs)))
    assert found.macs == macs and found.unknown == ()


def test_every_layer_of_keras_has_its_place():
    """The closed world: a class that a new Keras brings has to be put into one of the tables."""
    own = {kind for kind in vars(keras.layers).values() if inspect.isclass(kind)}
    placed = set(formulas.FORMULAS) | formulas.FREE
    missing = {kind.__name__ for kind in own - placed} - REPORTED - NO_LAYERS
    assert not missing, f"add a formula, or name it in FREE, in kerascnn/analysis/formulas.py: {sorted(missing)}"


def test_every_layer_of_this_package_has_its_place():
    own = {
        kind
        for kind in vars(layers).values()
        if inspect.isclass(kind) and issubclass(kind, L.Layer) and not issubclass(kind, keras.Model)
    }
    missing = {kind.__name__ for kind in own - set(formulas.FORMULAS) - formulas.FREE}
    assert not missing, f"add a formula, or name it in FREE, in kerascnn/analysis/formulas.py: {sorted(missing)}"


def test_an_own_formula(monkeypatch):
    class Square(L.Layer):
        def call(self, x):
            return keras.ops.matmul(x, x)

    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, Square(name="square")(inputs))
    assert analysis.count(model).unknown == ("square (Square)",)
    monkeypatch.setitem(analysis.FORMULAS, Square, lambda call: call.x[1] ** 3)
    assert analysis.count(model).macs == 64


def test_a_subclass_that_computes_otherwise_is_reported():
    class Twice(L.Dense):
        def call(self, x):
            return super().call(super().call(x))

    class Named(L.Dense):
        pass

    inputs = keras.Input((4,))
    assert analysis.count(keras.Model(inputs, Twice(4, name="twice")(inputs))).unknown == ("twice (Twice)",)
    assert analysis.count(keras.Model(inputs, Named(4)(inputs))).macs == 16


def test_what_hides_in_wrappers_is_reported():
    hidden = L.Lambda(lambda x: x, name="hidden")
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, L.TimeDistributed(hidden, name="every")(inputs))
    assert analysis.count(model).unknown == ("hidden (Lambda)",)
