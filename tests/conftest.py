"""What every test shares: two logical CPU devices, quiet C++ logs, no screen, fixed seeds."""

import collections
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

pytest_plugins = ["tiny_runs"]

LOGICAL_CPUS = 2  # so that MirroredStrategy is exercised on machines without a GPU


def pytest_addoption(parser):
    parser.addoption("--networks-up-to", type=float, default=float("inf"), metavar="PARAMETERS",
                     help="leave larger networks out of the tests that run over the registry")  # fmt: skip

    parser.addoption("--slowest-files", type=int, default=0, metavar="N", help="name the N files that took the longest")
    parser.addoption("--stop-at", type=float, default=float("inf"), metavar="EPOCH",
                     help="skip what has not begun by this time, in seconds since 1970")  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Leaves out what has not begun in time: a run ends within its hour and still reports what failed before."""
    if time.time() > item.config.getoption("stop_at"):
        pytest.skip("left out: the time of --stop-at is over")


def pytest_terminal_summary(terminalreporter, config):
    """Which files the time went to: where to look when the run has become too long."""
    count = config.getoption("slowest_files")
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    if count and seconds:
        terminalreporter.section(f"{count} slowest files")
        for name, spent in seconds.most_common(count):
            terminalreporter.write_line(f"{spent:7.1f} s  {name}")


def pytest_configure(config):
    """Splits the CPU before TensorFlow starts its devices, which happens once in a process."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        return  # the repository's own rules are tested without it
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * LOGICAL_CPUS)


@pytest.fixture(scope="module", autouse=True)
def seeded_module():
    """What a module's own fixtures draw does not depend on the tests that ran before, which differ from run to run."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def fresh_keras():
    """Fixed seeds before, and Keras' global state (names, policy) as new after each test."""
    import keras

    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)
    keras.backend.clear_session(free_memory=False)  # collecting garbage took seconds a test
