"""One set of moving statistics for all devices of a strategy."""

import keras
import tensorflow as tf


class AverageStatistics(keras.callbacks.Callback):
    """Before each validation, gives every device of a strategy the average of the devices' moving statistics.

    Under MirroredStrategy each device's batch norms see only its share of the batches, and Keras lets their moving
    statistics drift apart; a file has room for one of them.
    """

    def on_test_begin(self, logs=None):
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        with strategy.scope():
            for variable in self.model.non_trainable_variables:
                if variable.dtype.startswith("float"):
                    parts = [tf.convert_to_tensor(x) for x in strategy.experimental_local_results(variable.value)]
                    # What is frozen is the same everywhere and stays so to the bit: a mean would round.
                    if not all(bool(tf.reduce_all(part == parts[0])) for part in parts[1:]):
                        variable.assign(tf.add_n(parts) / len(parts))
