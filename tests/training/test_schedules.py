"""Learning rates against their formulas, written out anew."""

import math

import keras
import numpy as np
import pytest

from kerascnn.training import TrainConfig, schedules

STEPS = 10  # per epoch


def rates(steps, **fields):
    """The rate of each of the first `steps` steps."""
    schedule = schedules.learning_rate(TrainConfig(learning_rate=0.4, **fields), STEPS)
    return np.array([float(schedule(step)) for step in range(steps)])


def test_cosine_with_warm_up():
    got = rates(100, epochs=10, schedule="cosine", warmup_epochs=2.0)
    expected = [
        0.4 * s / 20 if s < 20 else 0.2 * (1 + math.cos(math.pi * (s - 20) / 80)) for s in range(100)
    ]  # from the peak at the end of the warm-up to 0 at the end of the run
    np.testing.assert_allclose(got, expected, atol=1e-7)


def test_cosine_without_warm_up_starts_at_the_peak_and_ends_near_zero():
    got = rates(50, epochs=5, schedule="cosine")
    assert got[0] == pytest.approx(0.4)
    assert got[25] == pytest.approx(0.2)
    assert 0 < got[-1] < 1e-3


def test_steps_fall_at_the_milestones():
    got = rates(100, epochs=10, schedule="step", milestones=(0.3, 0.8))
    np.testing.assert_allclose(got, [0.4] * 30 + [0.04] * 50 + [0.004] * 20, rtol=1e-6)


def test_exponential_reaches_the_factor_at_the_end():
    got = rates(101, epochs=10, schedule="exponential", decay_rate=0.01)
    np.testing.assert_allclose(got, 0.4 * 0.01 ** (np.arange(101) / 100), rtol=1e-5)


def test_every_few_epochs():
    got = rates(100, epochs=10, schedule="every", decay_every=2.4, decay_rate=0.97)
    np.testing.assert_allclose(got, 0.4 * 0.97 ** (np.arange(100) // 24), rtol=1e-6)


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_polynomial(power):
    got = rates(50, epochs=5, schedule="poly", power=power)
    np.testing.assert_allclose(got, 0.4 * (1 - np.arange(50) / 50) ** power, rtol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0])
def test_restarts(factor):
    """Loshchilov & Hutter 2017, equation 5: each cycle begins at the peak."""
    got = rates(150, epochs=15, schedule="restarts", restart_epochs=1.5, restart_factor=factor)
    expected, start, length = [], 0, 15.0
    for step in range(150):
        while step >= start + length:
            start, length = start + length, length * factor
        expected.append(0.2 * (1 + math.cos(math.pi * (step - start) / length)))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert expected.count(0.4) == {1.0: 10, 2.0: 4, 3.0: 3}[factor]


def test_a_run_ends_early_when_the_loss_does_not_fall():
    config = TrainConfig(early_stopping=2)
    losses = [3.0, 2.0, 2.5, 1.0, 1.0, 1.5, 0.5]
    assert [schedules.stopped(config, losses[:n]) for n in range(8)] == [False] * 6 + [True, False]
    assert not schedules.stopped(TrainConfig(), [1.0] * 15)


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential", "every", "restarts", "poly"])
def test_warm_up_is_a_ramp_times_the_schedule(schedule):
    plain = rates(60, epochs=10, schedule=schedule)
    warmed = rates(60, epochs=10, schedule=schedule, warmup_epochs=2.0)
    np.testing.assert_allclose(warmed, plain * np.minimum(np.arange(60) / 20, 1), rtol=1e-6)


@pytest.mark.parametrize("warm", [0.0, 1.0])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "exponential", "every", "restarts", "poly"])
def test_schedules_are_saved_with_the_optimizer(schedule, warm):
    made = schedules.learning_rate(TrainConfig(schedule=schedule, warmup_epochs=warm), STEPS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    for step in (0, 3, 70, 149):
        assert float(again(step)) == float(made(step))


def test_plateau_counts_epochs_without_a_lower_loss():
    config = TrainConfig(learning_rate=1.0, schedule="plateau", patience=2, decay_rate=0.5)
    losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.5, 1.4, 1.3, 1.2, 0.5]
    #         best best  1    2!   best  1    2!   1    2!  best
    expected = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert [schedules.plateau(config, losses[:n]) for n in range(len(losses) + 1)] == expected
