"""tf.distribute strategies by name."""

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.training.config import TrainConfig


def split_cpu(count: int):
    """Splits the CPU into logical devices, so that MirroredStrategy can be tried on any machine.

    Args:
        count: how many devices; nothing is done when the CPU is split so already.

    Raises:
        InputError: TensorFlow has been used in this process already, with another number of devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        present = tf.config.get_logical_device_configuration(cpu)
        if present is None or len(present) != count:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        # Starts TensorFlow here, where a refusal has one meaning.
        found = len(tf.config.list_logical_devices("CPU"))
    except RuntimeError as error:
        raise InputError(
            "The CPU can be split into virtual devices only before TensorFlow is first used in a process. "
            f"Received: virtual_devices={count}"
        ) from error
    if found != count:
        raise InputError(f"The CPU is split into {found} devices already. Received: virtual_devices={count}")


def build(config: TrainConfig, batch_size: int) -> tf.distribute.Strategy:
    """The strategy of a run.

    Args:
        config: `strategy` and `virtual_devices` are used.
        batch_size: over all devices.

    Returns:
        "one": the first GPU or the CPU. "mirrored": a copy of the model per GPU, or per virtual device of the CPU;
        each gets an equal share of the batch and the gradients are summed.

    Raises:
        InputError: the batch cannot be shared evenly, or the CPU cannot be split any more.
    """
    if config.virtual_devices:
        split_cpu(config.virtual_devices)
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if config.strategy == "one":
        return tf.distribute.OneDeviceStrategy(gpus[0] if gpus else "/cpu:0")
    if config.virtual_devices or not gpus:
        # Without virtual devices on a machine without GPU this is one CPU device, or those of the calling program.
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        strategy = tf.distribute.MirroredStrategy(cpus, cross_device_ops=tf.distribute.ReductionToOneDevice())
    else:
        strategy = tf.distribute.MirroredStrategy(gpus)
    devices = strategy.num_replicas_in_sync
    if batch_size % devices:
        raise InputError(f"A batch must be a multiple of the {devices} devices. Received: batch_size={batch_size}")
    return strategy
