"""What every test shares: two logical CPU devices, quiet C++ logs, no screen, fixed seeds."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

pytest_plugins = ["tiny_runs"]

LOGICAL_CPUS = 2  # so that MirroredStrategy is exercised on machines without a GPU


def pytest_addoption(parser):
    parser.addoption("--networks-up-to", type=float, default=float("inf"), metavar="PARAMETERS",
                     help="leave larger networks out of the tests that run over the registry")  # fmt: skip


def pytest_configure(config):
    """Splits the CPU before TensorFlow starts its devices, which happens once in a process."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        return  # the repository's own rules are tested without it
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * LOGICAL_CPUS)


@pytest.fixture(autouse=True)
def fresh_keras():
    """Fixed seeds before, and Keras' global state (names, policy) as new after each test."""
    import keras

    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)
    keras.backend.clear_session(free_memory=False)  # collecting garbage took seconds a test
