"""SMASH: generated weights are those of the network that is cut out, and the search from end to end."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.search import one_shot, spaces
from kerascnn.search.one_shot.banks import BANKS
from kerascnn.search.one_shot.child import accuracy, judging
from kerascnn.search.one_shot.hyper import Hypernetwork, description, kernel_of
from kerascnn.search.one_shot.images import halves
from kerascnn.search.one_shot.smash import perturbed

SPACE = spaces.Banks(blocks=2, layers=2, banks=3)
IMAGES = np.random.default_rng(0).normal(size=(6, 9, 8, 1)).astype("float32")
CONFIG = one_shot.SmashConfig(
    epochs=2, batch_size=16, filters=2, growth=3, depth=2, draws=5, perturbations=2, greedy=3, finals=4, augment="none",
    share=0.6,
)  # fmt: skip


@pytest.fixture(scope="module")
def supernet():
    return one_shot.SmashSupernet(SPACE, filters=4, input_shape=(9, 8, 1), classes=3, growth=4, depth=3)


def samples(count, seed=1):
    rng = np.random.default_rng(seed)
    return [SPACE.decode(SPACE.sample(rng)) for _ in range(count)]


def test_a_network_that_is_cut_out_computes_the_same(supernet):
    for blocks in samples(5):
        supernet.activate(blocks)
        expected = supernet(IMAGES).numpy()
        network = supernet.cut(blocks)
        np.testing.assert_allclose(network(IMAGES, training=True), expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 0.01
        assert supernet.parameters(blocks) == sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def test_the_weights_that_are_cut_out_are_the_generated_ones(supernet):
    (blocks,) = samples(1, seed=4)
    network, generated, filled = supernet.cut(blocks), supernet.generated(blocks), {0}
    for place, layer in enumerate(blocks[1], 1):
        read = [bank for bank in layer.reads if bank in filled]
        kernel = network.get_layer(f"block2_layer{place}_read_conv").kernel.numpy()
        expected = np.concatenate([generated[1][place - 1][bank] for bank in read])[None, None]
        np.testing.assert_allclose(kernel, expected * (16 / (expected**2).sum()) ** 0.5, rtol=1e-4, atol=1e-6)
        assert kernel.shape == (1, 1, 8 * len(read), 8)
        filled |= set(layer.writes)
        size = layer.values["kernel"]
        (whole,) = supernet.weights_of([f"block2_layer{place}_conv"])
        first = (7 - size) // 2
        middle = whole.numpy()[first : first + size, first : first + size]
        np.testing.assert_array_equal(network.get_layer(f"block2_layer{place}_conv_conv").kernel, middle)


def test_the_hypernetwork_is_its_formula():
    rng, space = np.random.default_rng(0), spaces.Banks(1, 2, 2)
    network = Hypernetwork(space, [3], growth=2, depth=1)
    weights = [rng.normal(size=shape) for shape in network.shapes]
    seen = description(space, space.sample(rng))
    padded = np.pad(seen, ((1, 1), (1, 1), (0, 0)))

    def normal(number):
        direction, length, shift = weights[3 * number : 3 * number + 3]
        return length * direction / np.sqrt((direction**2).sum((0, 1, 2))), shift

    (kernel, shift), (last, last_shift), expected = normal(0), normal(1), np.empty((2, 2, 9))
    for row in range(2):
        for column in range(2):
            window = padded[row : row + 3, column : column + 3]
            grown = (window[..., None] * kernel).sum((0, 1, 2)) + shift
            x = np.concatenate([seen[row, column], np.where(grown > 0, grown, 0.02 * grown)])
            expected[row, column] = x @ last[0, 0] + last_shift
    found = network(seen, [weight.astype("float32") for weight in weights])
    np.testing.assert_allclose(found[0].numpy().reshape(2, 2, 9), expected, rtol=1e-4, atol=1e-5)
    assert float(tf.reduce_sum(kernel_of(found[0][0], [1]) ** 2)) == pytest.approx(6, rel=1e-5)


def test_a_description_tells_all():
    blocks = samples(1, seed=2)[0]
    found = description(SPACE, SPACE.encode(blocks))
    assert found.shape == (4, 3, 3 + 4 + 6)
    row, filled = 0, set()
    for block in blocks:
        filled = {0}
        for layer in block:
            for bank in range(3):
                read, written, empty = found[row, bank, :3]
                assert (read, written) == (bank in layer.reads and bank in filled, bank in layer.writes)
                assert empty == (bank not in filled)
                assert found[row, bank, 3:7].tolist() == [float(i == row) for i in range(4)]
                expected = [float(layer.values["kernel"] == k) for k in (3, 5, 7)]
                assert found[row, bank, 7:].tolist() == expected + [
                    float(layer.values["dilation"] == d) for d in (1, 2, 3)
                ]
            filled |= set(layer.writes)
            row += 1
    keys = {
        SPACE.canonical(SPACE.encode(each)): description(SPACE, SPACE.encode(each)).tobytes() for each in samples(9)
    }
    assert len(set(keys.values())) == len(keys)


def test_gradients_reach_the_hypernetwork_and_are_those_of_differences(supernet):
    (blocks,), labels = samples(1, seed=3), np.arange(6) % 3

    def loss(weights=None):
        logits = supernet.logits(IMAGES, blocks, weights)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    variables = supernet.weights_of()
    with tf.GradientTape() as tape:
        value = loss()
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(value, variables)]
    hyper = supernet.weights_of(["hyper"])
    assert all(float(tf.norm(gradient)) > 0 for gradient in gradients[: len(hyper)])
    squares = sum(float(tf.reduce_sum(g**2)) for g in gradients[: len(hyper)])

    def moved(step):
        some = [v + step * g / squares**0.5 for v, g in zip(hyper, gradients, strict=False)]
        return float(loss(supernet.packed([*some, *variables[len(hyper) :]])))

    assert (moved(0.01) - moved(-0.01)) / 0.02 == pytest.approx(squares**0.5, rel=0.02)


SEARCHED = spaces.Banks(1, 2, 2, {"kernel": (1, 3), "dilation": (1,)})


def told(result):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]


class Stop(Exception):
    pass


def stop(row):
    raise Stop


def test_a_search_and_the_same_after_a_stop(source, tmp_path):
    whole = one_shot.smash(SEARCHED, source, CONFIG, tmp_path / "whole", seed=1)
    with pytest.raises(Stop):
        one_shot.smash(SEARCHED, source, CONFIG, tmp_path / "parts", seed=1, after=stop)
    parts = one_shot.smash(SEARCHED, source, CONFIG, tmp_path / "parts", seed=1)
    assert told(parts) == told(whole) and parts.genotype == whole.genotype
    for one, two in zip(parts.supernet.weights_of(), whole.supernet.weights_of(), strict=True):
        np.testing.assert_array_equal(one, two)
    rows = json.loads((tmp_path / "whole" / "search.json").read_text())["rows"]
    finals = rows[-1]["finals"]
    assert len(finals) == 4 and [a for a, _ in finals] == sorted((a for a, _ in finals), reverse=True)
    assert SEARCHED.decode(SEARCHED.from_json(finals[0][1])) == whole.genotype and "finals" not in rows[0]
    _, judge, prepare = halves(source, CONFIG.share, CONFIG.augment, 1)
    measured = accuracy(whole.supernet, whole.genotype, judging(judge, prepare, CONFIG, 1))
    assert measured == pytest.approx(finals[0][0])
    with pytest.raises(InputError, match="holds another search"):
        one_shot.smash(SEARCHED, source, CONFIG, tmp_path / "whole", seed=2)


@pytest.mark.after
def test_all_architectures_learn_at_once(source):
    config = dataclasses.replace(CONFIG, epochs=40, filters=4, growth=8, depth=3, rate=0.005)
    result = one_shot.smash(SPACE, source, config)
    assert result.history[-1]["loss"] < result.history[0]["loss"] - 0.2
    _, judge, prepare = halves(source, config.share, config.augment, 0)
    batches, rng = judging(judge, prepare, config, 0), np.random.default_rng(5)
    drawn = [SPACE.decode(SPACE.sample(rng)) for _ in range(20)]
    assert np.mean([accuracy(result.supernet, blocks, batches) for blocks in drawn]) > 0.7  # of three classes


def test_perturbations_are_near_and_allowed():
    rng = np.random.default_rng(0)
    tokens = SPACE.sample(rng)
    made = [perturbed(SPACE, tokens, 0.05, rng) for _ in range(50)]
    changed = [sum(a != b for a, b in zip(each, tokens, strict=True)) for each in made]
    assert min(changed) >= 1 and np.mean(changed) < 3 and all(SPACE.wrong(each) is None for each in made)
    alone = spaces.Banks(1, 1, 1, {"kernel": (3,), "dilation": (1,)})
    with pytest.raises(InputError, match="must have others near it"):
        perturbed(alone, alone.sample(rng), 0.5, rng)


def test_what_cannot_be_used_is_refused(source):
    with pytest.raises(InputError, match="space must be a Banks space whose layers choose kernel and dilation"):
        one_shot.smash(spaces.darts(), source, CONFIG)
    with pytest.raises(InputError, match="a kernel of the space must be an odd whole number"):
        one_shot.SmashSupernet(spaces.Banks(1, 1, 2, {"kernel": (2,), "dilation": (1,)}))
    with pytest.raises(InputError, match="style must be one without factors"):
        one_shot.SmashSupernet(SPACE, style=BANKS)
    with pytest.raises(InputError, match="changed must be"):
        one_shot.SmashConfig(changed=0.0)
