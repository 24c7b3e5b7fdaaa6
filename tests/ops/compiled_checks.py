"""What the tests of compiled networks share: weights that matter, and the comparison with the network."""

import numpy as np

from kerascnn import inference, surgery


def shaken(model, seed=0):
    """Statistics and offsets that matter, which are zeros and ones in new networks, and no kernel of zeros."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        zero = weight.name in ("kernel", "token") and not np.any(weight)
        if zero or weight.name in ("moving_mean", "beta", "bias"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        if weight.name in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    return model


def check(model, shape, batch=2):
    """Logits equal those of the model to 1e-4 of the largest."""
    model = shaken(surgery.logits_of(model))
    images = np.random.default_rng(1).normal(size=(batch, *shape)).astype("float32")
    expected = model(images, training=False).numpy()
    got = inference.compile(model)(images)
    assert got.shape == expected.shape and expected.std() > 0
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def kinds(model):
    """Of the instructions that the model becomes."""
    return [step.kind for step in inference.lowered(model).instructions]
