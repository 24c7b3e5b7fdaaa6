"""Scalars for TensorBoard, written without it."""

import keras
import tensorflow as tf

from kerascnn.training.optimizers import last_rate
from kerascnn.training.run_folder import RunFolder

_SCALAR = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)  # 1: a scalar time series


class TensorBoard(keras.callbacks.Callback):
    """Scalars per epoch for TensorBoard, in `train` and `validation`, with the learning rate in `train`.

    They are shown by `tensorboard --logdir RUN`, after `pip install 'kerascnn[tensorboard]'`, which Keras' own callback
    of this name needs for writing, too.

    Args:
        run: whose folder "tensorboard" is written to.
    """

    def __init__(self, run: RunFolder):
        super().__init__()
        self._folder = run.tensorboard
        self._writers = {}

    def on_epoch_end(self, epoch, logs=None):
        try:
            for name, value in (logs or {}).items():
                part = "validation" if name.startswith("val_") else "train"
                self._scalar(part, name.removeprefix("val_"), value, epoch + 1)
            self._scalar("train", "learning_rate", last_rate(self.model.optimizer), epoch + 1)
            for writer in self._writers.values():
                writer.flush()
        except tf.errors.OpError as error:
            raise OSError(f"TensorBoard logs cannot be written to {self._folder}: {error.message}") from error

    def _scalar(self, part, name, value, step):
        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(str(self._folder / part))
        with self._writers[part].as_default():
            # What tf.summary.scalar writes; that function needs TensorBoard installed, to be seen it is needed anyway.
            tf.summary.write(name, tf.constant(value, tf.float32), step, _SCALAR)

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()  # a run may have several `fit`s
