"""The gradient of DARTS: fixed points of a toy, and differences in float64."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.search.one_shot import Inner, architecture_gradient

TOY = (lambda w, a: w[0] ** 2 - 2 * a[0] * w[0] + a[0] ** 2, lambda w, a: a[0] * w[0] - 2 * a[0] + 1)


@pytest.mark.parametrize("order", ["first", "second", "exact"])
@pytest.mark.parametrize("xi", [0.1, 0.5])
def test_the_toy_ends_where_it_must(order, xi):
    """L_val = a w - 2 a + 1, L_tr = w^2 - 2 a w + a^2: a = 2 / (1 + 2 xi) = w, and 2 for the first order."""
    alpha, w = tf.constant([2.0], tf.float64), tf.constant([-2.0], tf.float64)
    for _ in range(200):
        (gradient,), _ = architecture_gradient(*TOY, [w], [alpha], Inner(xi), order=order)
        alpha -= 0.1 * gradient
        w -= 0.1 * (2 * w - 2 * alpha)
    expected = 2.0 if order == "first" else 2 / (1 + 2 * xi)
    np.testing.assert_allclose([alpha[0], w[0]], expected, atol=2e-3)


RNG = np.random.default_rng(3)
BATCHES = [(RNG.normal(size=(12, 5)), RNG.integers(3, size=12)) for _ in range(2)]
WEIGHTS = [RNG.normal(size=shape) / 2 for shape in ((5, 6), (5, 6), (6, 3))]
BUFFERS = [RNG.normal(size=value.shape) / 10 for value in WEIGHTS]
ALPHAS = [RNG.normal(size=(3,))]


def loss_on(batch):
    """A network of one edge with three operations: two layers and the first five inputs' squares, mixed."""
    images, labels = tf.constant(batch[0]), tf.constant(batch[1])

    def loss(weights, alphas):
        mix = tf.nn.softmax(alphas[0])
        hidden = mix[0] * tf.math.softplus(images @ weights[0]) + mix[1] * tf.math.tanh(images @ weights[1])
        hidden += mix[2] * tf.pad(images**2, [[0, 0], [0, 1]])
        logits = hidden @ weights[2]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    return loss


TRAIN, VALIDATION = map(loss_on, BATCHES)
INNER = Inner(0.3, 0.9, [tf.constant(value) for value in BUFFERS], 0.01)


def found(order, radius=0.01, inner=INNER):
    weights, alphas = ([tf.constant(value) for value in values] for values in (WEIGHTS, ALPHAS))
    return architecture_gradient(TRAIN, VALIDATION, weights, alphas, inner, order=order, radius=radius)[0][0].numpy()


def validation_after_the_step(alpha):
    weights, alphas = [tf.constant(value) for value in WEIGHTS], [tf.constant(alpha)]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = TRAIN(weights, alphas)
    moved = [
        w - 0.3 * (0.9 * buffer + g + 0.01 * w)
        for w, g, buffer in zip(weights, tape.gradient(loss, weights), BUFFERS, strict=True)
    ]
    return float(VALIDATION(moved, alphas))


def test_second_orders_equal_central_differences():
    step = 1e-5
    expected = [
        (validation_after_the_step(ALPHAS[0] + step * e) - validation_after_the_step(ALPHAS[0] - step * e)) / (2 * step)
        for e in np.eye(3)
    ]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found("exact"), expected, atol=1e-7 * scale)
    np.testing.assert_allclose(found("second", 0.01), expected, atol=1e-4 * scale)
    assert np.abs(found("first") - expected).max() > 0.01 * scale, "the second term would not be seen here"


def test_halving_the_radius_quarters_the_error():
    exact = found("exact")
    errors = [np.abs(found("second", radius) - exact).max() for radius in (0.4, 0.2, 0.1)]
    ratios = [errors[0] / errors[1], errors[1] / errors[2]]
    np.testing.assert_allclose(ratios, 4.0, rtol=0.1)


def test_no_step_of_the_weights_is_no_second_term():
    still = Inner(0.0)
    np.testing.assert_allclose(found("second", inner=still), found("first"), rtol=1e-12)


def test_a_validation_loss_without_gradient_gives_no_infinite_step():
    train, one = (lambda w, a: tf.reduce_sum(w[0] * a[0])), [tf.constant([1.0, 2.0])]
    (gradient,), _ = architecture_gradient(
        train, lambda w, a: tf.reduce_sum(a[0]), one, one, Inner(0.1), order="second"
    )
    np.testing.assert_array_equal(gradient, [1.0, 1.0])


def test_what_cannot_be_used_is_refused():
    one = [tf.constant([1.0])]
    with pytest.raises(InputError, match="order must be one of first, second, exact. Received: order='third'"):
        architecture_gradient(*TOY, one, one, Inner(0.1), order="third")
    with pytest.raises(InputError, match="radius must be"):
        architecture_gradient(*TOY, one, one, Inner(0.1), order="second", radius=0.0)
