"""How much memory a training has needed."""

import sys

import tensorflow as tf


def peak_bytes() -> int:
    """The most memory that was in use at a time so far: of the busiest GPU, without one of this process.

    Returns:
        Bytes; 0 where the system does not tell.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        names = [gpu.name.replace("/device:", "") for gpu in gpus]  # "GPU:0" is what is understood
        return max(int(tf.config.experimental.get_memory_info(name)["peak"]) for name in names)
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
