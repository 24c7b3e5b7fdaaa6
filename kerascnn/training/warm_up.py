"""The warm-up of a learning rate, as a schedule that .keras files keep."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kerascnn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Multiplies another schedule by step / steps during the first `steps` steps.

    Args:
        after: the schedule, counted from step 0 (not from the end of the warm-up).
        steps: length of the warm-up.
    """

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule, steps: int):
        self.after = after
        self.steps = steps

    def __call__(self, step):
        share = tf.cast(step, tf.float32) / self.steps
        return self.after(step) * tf.minimum(share, 1.0)

    def get_config(self):
        return {"after": keras.saving.serialize_keras_object(self.after), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["after"]), config["steps"])
