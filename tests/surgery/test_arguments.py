"""Whatever is passed to the functions that take a model, a path or a shape: one line, never another exception."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import analysis, explain, surgery, weights
from kerascnn._errors import InputError


class WithCall(keras.Model):
    def call(self, x):
        return x


ODD = (
    None, 5, -1, 0, 2.5, "abc", "", [], {}, (), float("nan"), True, np.zeros(3), "\0", b"x", [[1]], (None,), (-1, 2, 3),
    ("a", 2, 3), 10**30, object(), keras.Sequential([keras.layers.Dense(3)]), WithCall(), keras.layers.Dense(3),
)  # fmt: skip
IMAGES = np.zeros((1, 32, 32, 1), "float32")
CALLS = {
    "model": (
        surgery.walk, analysis.receptive_field, analysis.count, surgery.fold_batch_norm, surgery.fully_convolutional,
        surgery.logits_of, surgery.probabilities_of, surgery.final_activation, lambda x: surgery.up_to(x, "f6"),
        lambda x: surgery.replace_head(x, 3), lambda x: analysis.sampling_locations(x, IMAGES[0], (1, 1)),
        lambda x: analysis.stages(x, x), lambda x: weights.initialize(x, "he"), lambda x: weights.lsuv(x, IMAGES),
        lambda x: weights.copy_weights(x, x), lambda x: weights.load_weights(x, "absent.keras"),
        lambda x: explain.gradients(x, IMAGES), lambda x: explain.occlusion(x, IMAGES),
    ),
    "shape": (lambda x, net: analysis.count(net, x if x is not None else 5),
        lambda x, net: surgery.walk(net, 5 if x is None else x)),
    "path": (weights.read_keras_file, weights.read_safetensors, weights.read_pth, weights.check_keras_file),
    "argument": (
        lambda x, net: surgery.up_to(net, x), lambda x, net: surgery.replace_head(net, 0 if type(x) is int else x),
        lambda x, net: weights.initialize(net, x), lambda x, net: weights.load_weights(net, x),
        lambda x, net: analysis.count(net, batch_size=0 if type(x) is int else x),
        lambda x, net: analysis.count(net, dtype="odd" if x is None else x), lambda x, net: weights.lsuv(net, x),
        lambda x, net: explain.gradients(net, x),
        lambda x, net: explain.gradients(net, IMAGES, layer=5 if x is None else x),
        lambda x, net: analysis.table(x),
        lambda x, net: analysis.plot_stages(x, "a.png", input_shape=(3, 3, 1), title=""),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return kerascnn.create_model("lenet5")


@pytest.mark.parametrize("kind", CALLS)
def test_odd_arguments_are_one_line(kind, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index, call in enumerate(CALLS[kind]):
        for odd in ODD:
            with pytest.raises(InputError) as caught:
                call(odd) if kind in ("model", "path") else call(odd, net)
                pytest.fail(f"{kind} {index} takes {odd!r}")
            assert "\n" not in str(caught.value), (kind, index, odd)
    assert list(tmp_path.iterdir()) == []
