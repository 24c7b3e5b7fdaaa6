"""inference_program: native against plain TensorFlow for every kind of instruction, sharing of memory, refusals."""

import numpy as np
import pytest
import tensorflow as tf
from programs import check, conv, dense_convolution, images, run

from kerascnn._errors import InputError
from kerascnn.ops import _native, build_info, inference_program, native
from kerascnn.ops.inference_program import ACTIVATIONS, SAME, Instruction, Program, reference

NATIVE = build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + build_info()["reason"])
ZERO = ((0, 0), (0, 0))


@needs_native
@pytest.mark.parametrize("case", range(40))
def test_dense_convolutions(case):
    """Awkward sizes: one pixel, one channel, parts of vectors, more depth than a block, odd strides and padding."""
    check(*dense_convolution(case))


@needs_native
@pytest.mark.parametrize("channels", [32, 47, 256])
def test_three_by_three_with_many_channels(channels):
    """Where Winograd's algorithm may run: odd sizes, less than a tile, every kind of end."""
    rng = np.random.default_rng(channels)
    for height, width, padding in ((1, 1, SAME), (2, 7, SAME), (9, 14, ((0, 2), (1, 0))), (23, 15, SAME)):
        constants = []
        steps = (
            conv(rng, 0, constants, (3, 3), channels, 50, padding=padding, activation="silu"),
            conv(rng, 0, constants, (3, 3), channels, 50, padding=padding, residual=1, activation="relu6"),
            Instruction("concat", parts=(2, 1)),
        )
        check(Program(steps, tuple(constants), flat=False), images(rng, 2, height, width, channels))


@needs_native
@pytest.mark.parametrize("case", range(30))
def test_depthwise_and_grouped_convolutions(case):
    rng = np.random.default_rng(100 + case)
    size, stride = (3, 5, 7, 2)[case % 4], 1 + case % 3
    channels = (1, 7, 16, 24, 70)[case % 5]
    groups, filters = (channels, channels) if case % 3 else (channels, 2 * channels)
    dilation = 2 if case % 7 == 0 else 1
    constants = []
    options = {"strides": (stride, stride), "dilations": (dilation, dilation), "activation": ACTIVATIONS[case % 10]}
    padding = SAME if case % 2 else ((2, 1), (0, 3))
    step = conv(rng, 0, constants, (size, size), channels // groups, filters, padding=padding, **options)
    x = images(rng, 2, int(rng.integers(14, 33)), int(rng.integers(14, 33)), channels)
    check(Program((step,), tuple(constants), flat=False), x)


@needs_native
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    """Of numbers small and large, infinite ones and those that are none."""
    x = np.concatenate([np.linspace(-12, 12, 1001), [-1e30, 1e30, -1e4, -88, 89, 1e-20, 0]]).astype("float32")
    program = Program((Instruction("pass", x=0, activation=activation),), (), flat=False)
    expected = reference(x[None, None, :, None], program).numpy()
    np.testing.assert_allclose(run(program, x[None, None, :, None]), expected, rtol=2e-6, atol=1e-6)
    assert np.isnan(run(program, np.full((1, 1, 5, 20), np.nan, "float32"))).all()


@needs_native
def test_what_is_fused_into_a_convolution():
    """A residual, a gate, and a batch norm with ReLU before it; with more depth than a block has."""
    rng = np.random.default_rng(0)
    for channels, filters in ((5, 7), (32, 48), (270, 33)):
        constants = [rng.uniform(0.5, 2, channels).astype("float32"), images(rng, channels)]
        steps = (
            Instruction("mean", x=0),
            conv(rng, 1, constants, (1, 1), channels, channels, activation="sigmoid"),
            conv(rng, 0, constants, (1, 1), channels, filters, gate=2),
            conv(rng, 0, constants, (1, 1), channels, filters, scale=0, shift=1, residual=3, activation="relu"),
            Instruction("pass", x=0, gate=2, scale=0, shift=1, activation="silu"),
            conv(rng, 5, constants, (3, 3), channels, filters, padding=SAME, residual=4, activation="gelu"),
        )
        check(Program(steps, tuple(constants), flat=False), images(rng, 3, 6, 5, channels))


@needs_native
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
def test_pools(mean, zeros):
    rng = np.random.default_rng(0)
    for window, strides, padding in (
        ((2, 2), (2, 2), ZERO), ((3, 3), (2, 2), ((0, 1), (1, 1))), ((3, 2), (1, 3), ((1, 1), (1, 0))),
    ):  # fmt: skip
        step = Instruction("pool", x=0, window=window, strides=strides, padding=padding, mean=mean, zeros=zeros)
        x = images(rng, 2, 9, 8, 19) - 3  # zeros are the greatest
        check(Program((step,), (), flat=False), x)
    if not zeros:
        step = Instruction("pool", x=0, window=(3, 3), strides=(1, 1), padding=SAME, mean=mean)
        check(Program((step,), (), flat=False), images(rng, 2, 9, 8, 19))


def nested(rng):
    """Concatenations of concatenations, one value in two of them, and one that is read flattened besides."""
    constants = []
    steps = (
        conv(rng, 0, constants, (3, 3), 3, 20, padding=SAME, activation="relu"),
        conv(rng, 1, constants, (1, 1), 20, 12),
        Instruction("concat", parts=(1, 2)),
        conv(rng, 3, constants, (3, 3), 32, 12, padding=SAME),
        Instruction("concat", parts=(3, 4, 0)),
        Instruction("concat", parts=(4, 5, 4)),
        Instruction("pool", x=6, window=(2, 2), strides=(2, 2), mean=True),
        conv(rng, 7, constants, (3, 3), 71, 71, padding=SAME, residual=7),
        Instruction("flatten", x=8),
        conv(rng, 9, constants, (1, 1), 71 * 12, 10),
        Instruction("softmax", x=10),
    )
    return Program(steps, tuple(constants), flat=True)


@needs_native
def test_a_network_with_concatenations():
    rng = np.random.default_rng(0)
    program = nested(rng)
    for batch in (1, 3):
        probabilities = check(program, images(rng, batch, 6, 8, 3))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert run(program, images(rng, 0, 6, 8, 3)).shape == (0, 10)


@needs_native
def test_one_graph_runs_on_images_of_any_size_and_batch():
    rng = np.random.default_rng(0)
    constants = []
    steps = (conv(rng, 0, constants, (3, 3), 3, 9, padding=SAME), Instruction("mean", x=1))
    program = Program(steps, tuple(constants), flat=True)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])], autograph=False)
    def graph(x):
        with native("require"):
            return inference_program(x, program)

    for shape in ((1, 5, 5, 3), (8, 3, 7, 3), (2, 31, 1, 3)):
        x = images(rng, *shape)
        np.testing.assert_allclose(graph(x), reference(x, program), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(graph(x)[:1], graph(x[:1]))


@needs_native
def test_other_constants_are_packed_anew():
    rng = np.random.default_rng(0)
    constants = []
    program = Program((conv(rng, 0, constants, (1, 1), 4, 5),), tuple(constants), flat=False)
    variable = tf.Variable(program.joined())
    x = images(rng, 1, 2, 2, 4)

    @tf.function(autograph=False)
    def graph(x):
        with native("require"):
            return inference_program(x, program, variable)

    np.testing.assert_allclose(graph(x), reference(x, program), atol=1e-5)
    variable.assign(2 * variable)
    np.testing.assert_allclose(graph(x), 2 * reference(x, program), atol=1e-5)


def test_without_the_library_it_runs_in_plain_tensorflow():
    rng = np.random.default_rng(0)
    program = nested(rng)
    x = images(rng, 2, 6, 8, 3)
    with native("off"):
        ours = inference_program(x, program)
        given = inference_program(x, program, tf.constant(program.joined()))
    np.testing.assert_array_equal(ours, given)
    np.testing.assert_array_equal(ours, reference(x, program))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Instruction("conv", x=1, filter=0), "read values before it"),
        (Instruction("conv", x=0, filter=1), "read constants of the program"),
        (Instruction("blur", x=0), "of a known kind"),
        (Instruction("pass", x=0, activation="elu"), "of a known kind"),
    ],
)
def test_instructions_that_are_wrong(step, message):
    with pytest.raises(InputError, match=message):
        inference_program(np.zeros((1, 2, 2, 3), "float32"), Program((step,), (np.zeros((1, 1, 3, 3)),), flat=False))


def test_arguments_that_are_wrong():
    program = nested(np.random.default_rng(0))
    with pytest.raises(InputError, match=r"`images` must be float32 \[batch, .*uint8"):
        inference_program(np.zeros((1, 6, 8, 3), "uint8"), program)
    with pytest.raises(InputError, match="`images` must be float32"):
        inference_program(np.zeros((6, 8, 3), "float32"), program)
    with pytest.raises(InputError, match="program must be a Program with instructions"):
        inference_program(np.zeros((1, 6, 8, 3), "float32"), program.numbers())


def raw(numbers, constants=(0.0,), shape=(1, 4, 4, 2), flat=False):
    return _native.loaded().kerascnn_inference_program(
        images=np.zeros(shape, "float32"), constants=np.asarray(constants, "float32"), program=numbers, flat=flat
    )


@needs_native
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "must have all its numbers"),
        ([2, 0, 1, 3, 1, 0], "must be of version 1"),
        ([1, 0, 0], "must be in its range"),
        ([1, 0, 1, 3, 1, 1], "must be in its range"),
        ([1, 0, 1, 3, 2, 0, 0], "must have the fields of its kind"),
        ([1, 0, 1, 3, 1, 0, 7], "must end with its last instruction"),
        ([1, 1, 2, 1, 1, 1, 1, 16, 0, 0, -1, -1, -1, -1, -1, 0, 1, 1, 1, 1, 0, 0, 0, 0], "must have four dimensions"),
        ([1, 1, 4, 1, 1, 2, 2**40, 1, 3, 1, 0], "must be in its range"),
        ([1, 1, 4, 2**30, 2**30, 2**30, 2**30, 1, 3, 1, 0], "must be in its range"),
        ([1, 0, 1, 2, 11, 0, 0, 0, 9, 9, 1, 1, 0, 0, 0, 0], "must fit into the map"),
        ([1, 0, 1, 2, 11, 0, 0, 0, 1, 1, 1, 1, -1, 0, 0, 0], "on all sides or on none"),
        ([1, 0, 2, 3, 1, 0, 5, 2, 0, 1], "of one size to be concatenated"),
        ([1, 0, 2, 3, 1, 0, 4, 6, 1, 0, -1, -1, -1, 0], "must have the shape of what it is added to"),
        ([1, 0, 1, 4, 6, 0, -1, 0, -1, -1, 0], "must be one number a channel"),
        ([1, 0, 1, 16, 1, 0], "must be in its range"),
        ([1, 0, 1, 8, 4, 0, -1, -1, 2**31 - 1], "must be in its range"),  # NaN
        ([1, 0, 1, 9, 6, 0, 1, 0, 0, 0, -1], "queries, keys and values of all heads"),
        ([1, 0, 1, 10, 4, 0, 4, 4, 3], "must keep its elements"),
        ([1, 0, 1, 10, 4, 0, 2**31, 2**31, 2**31], "must keep its elements"),
        ([1, 0, 1, 11, 7, 0, 2, 2, 0, 0, 0, 0], "must fit into the map"),
        ([1, 0, 1, 11, 7, 0, 0, 0, 0, 0, 2, 0], "Channels must remain"),
        ([1, 0, 2, 11, 7, 0, 0, 0, 1, 0, 0, 0, 12, 4, -1, -1, 0, 1], "of one width to be stacked"),
        ([1, 1, 1, 3, 1, 12, 3, 0, -1, 0], "must be whole rows"),
        ([1, 1, 1, 3, 1, 12, 3, -1, 0, 0], "the shape of what they are added to"),
        ([1, 0, 1, 13, 2, 0, 0], "must have the shape of what it is added to"),
        ([1, 0, 1, 14, 10, 0, 3, 1, 1, 1, 1, 0, 0, 0, 0], "must be in its range"),
        ([1, 0, 1, 14, 10, 0, 0, 2**31, 2**31, 1, 1, 0, 0, 0, 0], "must not be as large"),
    ],
)
def test_numbers_that_are_wrong_are_refused_in_words(numbers, message):
    constants = [0.0] * (min(numbers[3], 4) if len(numbers) > 1 and numbers[1] == 1 else 0)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=message):
        raw(numbers, constants)


@needs_native
def test_a_derivative_is_refused_in_words():
    x = tf.ones((1, 2, 2, 3))
    with native("require"), tf.GradientTape() as tape:
        tape.watch(x)
        y = inference_program(x, Program((Instruction("mean", x=0),), (), flat=True))
    with pytest.raises(InputError, match="no derivative; differentiate the model"):
        tape.gradient(y, x)


@needs_native
def test_flat_results_have_one_pixel():
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have one pixel"):
        raw([1, 0, 1, 6, 1, 0], [], flat=True)
    assert raw([1, 0, 1, 3, 1, 0], [], flat=True).shape == (1, 2)


@needs_native
def test_random_numbers_never_crash():
    """Programs with numbers changed, added and left out: refused, or run on what they then say."""
    rng = np.random.default_rng(0)
    program = nested(rng)
    right, x, joined = program.numbers(), images(rng, 1, 6, 8, 3), program.joined()
    refused = 0
    for _ in range(400):
        numbers = list(right)
        for _ in range(rng.integers(1, 3)):
            at = int(rng.integers(len(numbers)))
            change = rng.integers(4)
            if change == 0:
                del numbers[at]
            elif change == 1:
                numbers.insert(at, int(rng.integers(-2, 20)))
            else:
                numbers[at] = int(rng.choice([-1, 0, 1, 2, 3, 7, 2**31, 2**62, -(2**62)]))
        try:
            _native.loaded().kerascnn_inference_program(images=x, constants=joined, program=numbers, flat=False)
        except (tf.errors.OpError, ValueError):
            refused += 1
    assert refused > 200


@needs_native
def test_instructions_in_the_profiler(tmp_path):
    """Each is an event of TensorFlow's profiler, with what it computes."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    rng, constants = np.random.default_rng(0), []
    steps = (
        conv(rng, 0, constants, (3, 3), 3, 8, strides=(2, 2), activation="gelu"),
        conv(rng, 1, constants, (1, 1), 8, 5),
        Instruction("mean", x=2),
    )
    program = Program(steps, tuple(constants), flat=True)
    with native("require"), tf.profiler.experimental.Profile(str(tmp_path)):
        inference_program(images(rng, 1, 16, 12, 3), program)
    (file,) = tmp_path.rglob("*.xplane.pb")
    found = {}
    for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes:
        names = {key: value.name for key, value in plane.stat_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            stats = {names[stat.metadata_id]: stat.int64_value or stat.uint64_value for stat in event.stats}
            if "multiply_adds" in stats:
                found[plane.event_metadata[event.metadata_id].name] = (stats["instruction"], stats["multiply_adds"])
    assert found == {
        "conv 3x3/2 16x12x3 > 7x5x8 gelu": (0, 7 * 5 * 8 * 27),
        "conv 1x1 7x5x8 > 7x5x5": (1, 7 * 5 * 5 * 8),
        "mean 7x5x5 > 1x1x5": (2, 0),
    }
