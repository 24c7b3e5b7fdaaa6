"""The derivative of every op's gradient, natively and not, agrees with differences."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import ops
from kerascnn.ops import _native, native


def normal(*shape):
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape))


def apart(*shape):
    """Numbers of which no two are close, so that differences do not change which is the largest."""
    return tf.constant(np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape) / 10)


def offsets(*shape):
    """Away from whole numbers, where the interpolation has kinks."""
    rng = np.random.default_rng(1)
    return tf.constant(rng.integers(-1, 2, shape) + rng.uniform(0.2, 0.8, shape))


def saf_pool2d(x):
    return ops.saf_pool2d(x, 3, 2, "same", rate=0.3, seed=(1, 2), training=True)


CASES = {  # function of tensors, those tensors
    "conv2d groups": (
        lambda x, w: ops.conv2d(x, w, (2, 1), ((1, 0), (0, 2)), 1, 2),
        [normal(1, 4, 3, 4), normal(2, 2, 2, 4)],
    ),
    "conv2d dilated": (lambda x, w: ops.conv2d(x, w, 1, "same", (2, 1), 1), [normal(1, 4, 3, 2), normal(2, 3, 2, 2)]),
    "conv2d depthwise": (lambda x, w: ops.conv2d(x, w, 2, "same", 1, 3), [normal(2, 3, 4, 3), normal(3, 3, 1, 3)]),
    "deform_conv2d": (
        lambda x, w, offset: ops.deform_conv2d(x, w, offset, None, 1, "valid"),
        [normal(1, 3, 2, 2), normal(2, 1, 2, 1), offsets(1, 2, 2, 4)],
    ),
    "deform_conv2d mask": (
        lambda x, w, offset, mask: ops.deform_conv2d(x, w, offset, mask, 2, "same", 1, 2, 2),
        [normal(1, 2, 3, 4), normal(1, 2, 2, 2), offsets(1, 1, 2, 8), normal(1, 1, 2, 4)],
    ),
    "local_response_normalization": (
        lambda x: ops.local_response_normalization(x, 2, 1.5, 0.5, 0.75),
        [normal(2, 7)],
    ),
    "saf_pool2d": (saf_pool2d, [apart(1, 5, 4, 2)]),
    "gelu": (ops.gelu, [normal(2, 7)]),
    "layer_normalization": (
        lambda x, scale, shift: ops.layer_normalization(x, scale, shift, 0.1),
        [normal(3, 5), normal(5), 2 * normal(5)],
    ),
    "self_attention": (lambda x: ops.self_attention(x, 2, 0.7), [normal(1, 3, 12)]),
}  # fmt: skip


def test_every_op_is_here():
    # Images of bytes have no derivative, and a network for inference needs none.
    functions = set(ops.__all__) - {"build_info", "native", "resize2d", "inference_program"}
    assert functions == {name.split()[0] for name in CASES}


@pytest.mark.parametrize("mode", ("auto", "off"))
@pytest.mark.parametrize("case", CASES)
def test_second_derivatives_agree_with_differences(case, mode):
    if mode == "auto" and not _native.register():
        pytest.skip("the native library is not built here")
    function, inputs = CASES[case]

    @tf.function(autograph=False)
    def first(dy, *inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        gradients = tape.gradient(y, inputs, output_gradients=dy)
        return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)

    with native(mode):
        dy = normal(*function(*inputs).shape)
        theory, numeric = tf.test.compute_gradient(first, [dy, *inputs], delta=1e-5)
    for got, want in zip(theory, numeric, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-7)
