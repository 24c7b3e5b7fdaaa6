"""tf.distribute strategies by name.

The names are needed before TensorFlow is loaded, so it is imported where it is used.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerascnn._errors import InputError

if TYPE_CHECKING:  # for the hints alone
    import keras
    import tensorflow as tf

    from kerascnn.training.config import TrainConfig


def split_cpu(count: int) -> None:
    """Splits the CPU into logical devices, so that MirroredStrategy can be tried on any machine.

    Args:
        count: how many devices; nothing is done when the CPU is split so already.

    Raises:
        InputError: TensorFlow has been used in this process already, with another number of devices.
    """
    import tensorflow as tf

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


def _gpus() -> list[str]:
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def _one(config: "TrainConfig") -> "tf.distribute.Strategy":
    import tensorflow as tf

    return tf.distribute.OneDeviceStrategy((_gpus() or ["/cpu:0"])[0])


def _mirrored(config: "TrainConfig") -> "tf.distribute.Strategy":
    import tensorflow as tf

    gpus = _gpus()
    if config.virtual_devices or not gpus:
        # Without virtual devices on a machine without GPU this is one CPU device, or those of the calling program.
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        return tf.distribute.MirroredStrategy(cpus, cross_device_ops=tf.distribute.ReductionToOneDevice())
    return tf.distribute.MirroredStrategy(gpus)


def _multiworker(config: "TrainConfig") -> "tf.distribute.Strategy":
    raise InputError(
        "strategy=multiworker needs the other workers: training.train(..., workers=training.workers.join(...)), or "
        "kerascnn train with --local_workers, --workers and --worker_index, TF_CONFIG, or by srun. Received: none"
    )


STRATEGIES: dict[str, Callable[["TrainConfig"], Any]] = {
    "one": _one,
    "mirrored": _mirrored,
    "multiworker": _multiworker,
}
# Strategies of TensorFlow that are left out, and why.
REFUSED = {
    "parameter_server": "is not offered: parameter servers update weights without waiting for each other, so that no "
    "two runs give the same result, and Keras 3 cannot fit under them; strategy=multiworker trains on many machines",
    "tpu": "is not offered: no part of kerascnn was tried on a TPU",
}


def build(
    config: "TrainConfig", batch_size: int, joined: "tf.distribute.Strategy | None" = None
) -> "tf.distribute.Strategy":
    """The strategy of a run.

    Args:
        config: `strategy` and `virtual_devices` are used.
        batch_size: over all devices.
        joined: that of several workers, who have joined already.

    Returns:
        "one": the first GPU or the CPU. "mirrored": a copy of the model per GPU, or per virtual device of the CPU;
        each gets an equal share of the batch and the gradients are summed. "multiworker": the same on all workers.

    Raises:
        InputError: the batch cannot be shared evenly, the CPU cannot be split any more, or no workers have joined.
    """
    if config.virtual_devices:
        split_cpu(config.virtual_devices)
    strategy = joined or STRATEGIES[config.strategy](config)
    devices = strategy.num_replicas_in_sync
    if batch_size % devices:
        raise InputError(f"A batch must be a multiple of the {devices} devices. Received: batch_size={batch_size}")
    return strategy


def synchronize(model: "keras.Model") -> None:
    """Makes the batch norms of a model see the whole batch, whatever part of it their device has.

    Args:
        model: in training; Keras' own batch norms keep that they do so in files, ours do not.
    """
    import keras

    from kerascnn.layers import BatchNormalization

    for layer in model._flatten_layers():
        if isinstance(layer, BatchNormalization):
            layer.across_devices = True
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def even_batch(examples: int, batch_size: int, devices: int) -> int:
    """The batch size of a measurement in which no device is left without examples.

    Keras wants the first batch to be shared evenly, and a convolution of an empty batch, which a device would get of a
    small last one, fails in some releases of TensorFlow.

    Args:
        examples: of the whole measurement.
        batch_size: the largest that is wanted.
        devices: among which each batch is shared.

    Returns:
        A multiple of `devices` of which the remainder is none or at least one example a device, where there is one.

    Raises:
        InputError: there are fewer examples than devices.
    """
    if devices == 1:
        return batch_size
    if examples < devices:
        rule = f"The validation must have an example for each of the {devices} devices"
        raise InputError(f"{rule}. Received: {examples} examples")
    most = min(batch_size, examples) // devices * devices
    for size in range(most, 0, -devices):
        if examples % size == 0 or examples % size >= devices:
            return size
    return devices
