"""Costs of small networks against sums done by hand."""

import io
import random

import keras
import pytest
from rich.console import Console

from kerascnn import analysis, models
from kerascnn._errors import InputError
from kerascnn.surgery.graph import walk


def _small(height=8, width=8):
    x = inputs = keras.Input((height, width, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="valid")(x)
    x = keras.layers.SeparableConv2D(6, 3, padding="same")(x)
    x = keras.layers.Conv2D(6, 3, padding="same", groups=2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


SMALL_MACS = 4 * 4 * 27 * 4 + 2 * 2 * (9 * 4 + 9 * 4 + 4 * 6 + 9 * 3 * 6) + 6 * 5


def test_macs_and_parameters_by_hand():
    cost = analysis.count(_small())
    assert cost.macs == SMALL_MACS
    # conv, batch norm, depthwise, separable, grouped conv, dense
    assert cost.params_trainable == (108 + 4) + 8 + (36 + 4) + (36 + 24 + 6) + (162 + 6) + 35
    assert cost.params_other == 8
    assert cost.unknown == ()


def test_open_size_needs_an_input_shape():
    model = _small(None, None)
    assert analysis.count(model, (8, 8, 3)).macs == SMALL_MACS
    with pytest.raises(InputError, match="pass input_shape"):
        analysis.count(model)


def test_another_size_than_the_one_built_for():
    assert analysis.count(_small(16, 16), (8, 8, 3)).macs == SMALL_MACS


def test_transposed_convolution_counts_input_positions():
    inputs = keras.Input((5, 5, 2))
    model = keras.Model(inputs, keras.layers.Conv2DTranspose(3, 4, strides=2)(inputs))
    assert analysis.count(model).macs == 25 * 16 * 2 * 3


def test_shared_layers_count_per_call_and_nested_models_are_followed():
    shared = keras.layers.Dense(3)
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, keras.layers.Dense(4)(inner_in))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.add([shared(inputs), shared(inner(inputs))]))
    before = len(model.layers), [len(layer.weights) for layer in model.layers]
    assert analysis.count(model).macs == 2 * 12 + 16
    assert analysis.count(model).params_trainable == 15 + 20
    assert (len(model.layers), [len(layer.weights) for layer in model.layers]) == before
    assert inner.output.shape == (None, 4)  # one node still: counting did not call the model's layers


def test_sequential():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    assert analysis.count(model).macs == 12 + 6


def test_compiled_models_and_inputs_by_name():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    inner = keras.Model({"b": b, "a": a}, keras.layers.Dense(2)(keras.layers.concatenate([a, b])))
    inner.compile("sgd", loss=lambda y, z: keras.ops.mean(y - z))
    x = keras.Input((3,))
    model = keras.Model(x, inner({"a": keras.layers.Dense(4)(x), "b": x}))
    model.compile("sgd", loss=inner.loss)
    assert analysis.count(inner).macs == 14
    assert analysis.count(model).macs == 12 + 14


def test_layers_without_a_formula_are_reported():
    @keras.saving.register_keras_serializable(package="test")
    class Gain(keras.layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],))

        def call(self, x):
            return x * self.gain

    class Weightless(keras.layers.Layer):
        def call(self, x):
            return keras.ops.matmul(x, keras.ops.ones((4, 4)))

    inputs = keras.Input((4,))
    x = Gain(name="mine")(inputs)
    cost = analysis.count(keras.Model(inputs, keras.ops.relu(Weightless(name="hides")(x))))
    assert cost.unknown == ("mine (Gain)", "hides (Weightless)")
    assert cost.macs == 0
    assert [row.macs for row in cost.layers] == [None, None, 0]
    assert cost.params_trainable == 4


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(InputError, match="functional"):
        analysis.count(Subclassed())
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(InputError, match="one for each input"):
        analysis.count(keras.Model([a, b], keras.layers.add([a, b])), (2,))


def test_several_inputs_of_open_size():
    a, b = keras.Input((None, 5)), keras.Input((None, 5))
    scores = keras.layers.Dot(axes=2)([a, b])
    assert analysis.count(keras.Model([a, b], scores), [(7, 5), (3, 5)]).macs == 7 * 5 * 3


def test_rows_are_one_a_call_with_weights_at_the_first():
    shared = keras.layers.Dense(4, name="shared")
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, shared(keras.layers.Activation("relu", name="relu")(inner_in)), name="inner")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inner(shared(inputs))))
    rows = [(row.name, row.kind, row.params_trainable, row.macs) for row in analysis.count(model).layers]
    again = [("inner/relu", "Activation", 0, 0), ("inner/shared", "Dense", 0, 16)]
    assert rows == [("shared", "Dense", 20, 16), *again, *again]


def test_auxiliary_heads_cost_weights_alone():
    x = keras.Input((4,))
    y = keras.layers.Dense(3)(x)
    outputs = [keras.layers.Dense(2)(y), keras.layers.Dense(2, name="auxiliary")(y)]
    cost = analysis.count(models.AuxiliaryModel(x, outputs, auxiliary_weights=[0.3]))
    assert (cost.macs, cost.params_trainable) == (12 + 6, 15 + 8 + 8)
    assert cost.layers[-1].params_trainable == 8 and "no layer" in cost.layers[-1].name


def test_frozen_weights_are_not_trainable():
    model = _small()
    trainable = sum(row.params_trainable for row in analysis.count(model).layers)
    model.layers[1].trainable = False
    cost = analysis.count(model)
    assert cost.params_trainable == trainable - 112
    assert cost.params_trainable + cost.params_other == model.count_params()


def test_activations_and_peak_memory_by_hand():
    """x (100) -> a (200) -> b (50); x and b -> c (150); c seen as a vector; dense 10."""
    x = keras.Input((10, 10, 1))
    a = keras.layers.Conv2D(2, 1)(x)
    b = keras.layers.GlobalAveragePooling2D(keepdims=True)(a)
    y = keras.layers.Multiply()([x, b])
    y = keras.layers.Dropout(0.5)(keras.layers.Identity()(y))
    model = keras.Model(x, keras.layers.Dense(10)(keras.layers.Flatten()(y)))
    cost = analysis.count(model)
    assert [row.activations for row in cost.layers] == [200, 2, 200, 0, 0, 0, 10]
    assert cost.activations == 412
    # x and a; x, a and b; x, b and y; y and the result
    assert cost.peak_bytes == 4 * max(300, 302, 302, 210)
    assert analysis.count(model, batch_size=8, dtype="float16").peak_bytes == 8 * 2 * 302


def test_a_shortcut_stays_in_memory_until_it_is_added():
    x = keras.Input((100,))
    y = keras.layers.ReLU()(x)
    for _ in range(3):
        y = keras.layers.ReLU()(y)
    model = keras.Model(x, keras.layers.add([x, y]))
    assert analysis.count(model).peak_bytes == 4 * 300  # never more than x and two of the chain
    assert analysis.count(keras.Model(x, y)).peak_bytes == 4 * 200


def _random_network(seed):
    """A graph of elementwise layers of one size, with branches, views and several outputs."""
    rng = random.Random(seed)
    tensors = [keras.Input((10,), name=f"x{seed}")]
    for _ in range(rng.randrange(3, 15)):
        kind = rng.choice((keras.layers.ReLU, keras.layers.Identity, keras.layers.Add, keras.layers.Add))
        inputs = [rng.choice(tensors[-4:]) for _ in range(2)]
        tensors.append(kind()(inputs) if kind is keras.layers.Add else kind()(inputs[0]))
    return keras.Model(tensors[0], [tensors[-1], *rng.sample(tensors[1:], rng.randrange(3))])


@pytest.mark.parametrize("seed", range(20))
def test_peak_memory_by_its_definition(seed):
    """A tensor is alive while a layer runs if it exists by then and is this layer's own or read by it or later."""
    graph = walk(_random_network(seed))
    kept = {value.number for value in graph.outputs}
    home = {value.number: value.number for value in graph.inputs}
    for call in graph.calls:
        views = isinstance(call.operation, keras.layers.Identity)
        home[call.outputs[0].number] = home[call.inputs[0].number] if views else call.outputs[0].number
    alive = []
    for index, call in enumerate(graph.calls):
        made = {value.number for value in graph.inputs}
        made |= {value.number for earlier in graph.calls[: index + 1] for value in earlier.outputs}
        read = {value.number for later in graph.calls[index:] for value in later.inputs}
        alive.append(len({home[number] for number in made & (read | kept | {call.outputs[0].number})}))
    assert analysis.count(_random_network(seed)).peak_bytes == 40 * max(alive)


def test_memory_follows_the_dtypes_of_the_model():
    x = keras.Input((100,), dtype="uint8")
    model = keras.Model(x, keras.layers.Rescaling(1 / 255, dtype="float16")(x))
    assert analysis.count(model).peak_bytes == 100 + 200
    assert analysis.count(model, dtype="float32").peak_bytes == 100 + 400
    with pytest.raises(InputError, match="dtype must be"):
        analysis.count(model, dtype="floaty")
    with pytest.raises(InputError, match="batch_size"):
        analysis.count(model, batch_size=0)


def _encoder_block(x, heads, hidden):
    y = keras.layers.LayerNormalization()(x)
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(heads, x.shape[-1] // heads)(y, y)])
    y = keras.layers.Dense(hidden, activation="gelu")(keras.layers.LayerNormalization()(x))
    return keras.layers.Add()([x, keras.layers.Dense(x.shape[-1])(y)])


def test_a_transformer():
    """ViT-Ti/16 without the class token: 196 tokens of 192, 12 blocks."""
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Reshape((196, 192))(keras.layers.Conv2D(192, 16, 16)(inputs))
    for _ in range(12):
        x = _encoder_block(x, 3, 768)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
    model = keras.Model(inputs, keras.layers.Dense(1000)(x))
    cost = analysis.count(model)
    block = 196 * 192 * (4 * 192 + 2 * 768) + 2 * 196 * 196 * 192
    assert cost.macs == 196 * 768 * 192 + 12 * block + 192 * 1000
    assert cost.unknown == () and cost.params_trainable == model.count_params()


def test_a_network_of_lstms():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(1000, 32, mask_zero=True)(inputs)
    x = keras.layers.Bidirectional(keras.layers.LSTM(16, return_sequences=True))(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.LSTM(8)(x)))
    cost = analysis.count(model, (20,))
    assert cost.macs == 20 * (2 * 64 * (32 + 16) + 32 * (32 + 8)) + 16
    assert cost.unknown == () and cost.params_trainable == model.count_params()


@pytest.mark.parametrize(
    "name, millions",  # of the papers; keras.applications' documentation has the same nets
    [("MobileNet", 569), ("MobileNetV2", 300), ("EfficientNetB0", 390), ("DenseNet121", 2834)],
)
def test_networks_of_keras_applications(name, millions):
    model = getattr(keras.applications, name)(weights=None)
    cost = analysis.count(model)
    assert cost.macs / 1e6 == pytest.approx(millions, rel=0.02)
    assert cost.params_trainable + cost.params_other == model.count_params()
    assert cost.unknown == ()


def test_the_table():
    @keras.saving.register_keras_serializable(package="test")
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    x = keras.Input((8, 8, 3))
    model = keras.Model(x, Own(name="own")(keras.layers.Conv2D(4, 3, name="conv")(x)))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(analysis.table(analysis.count(model), "small"))
    text = " ".join(console.export_text().split())
    assert "│ conv │ Conv2D │ 6 x 6 x 4 │ 112 │ 3,888 │ 144 │" in text
    assert "│ own │ Own │ 6 x 6 x 4 │ │ ? │ 144 │" in text
    assert "│ total │ │ │ 112 │ 3,888 + ? │ 288 │" in text
    assert "alive at once: 1.34 kB" in text  # 4 bytes times 8 x 8 x 3 + 144
