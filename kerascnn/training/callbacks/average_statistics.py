"""One set of moving statistics for all devices of a strategy."""

import keras
import numpy as np

from kerascnn.training.workers import sums


class AverageStatistics(keras.callbacks.Callback):
    """Before each validation, gives every device of a strategy the average of the devices' moving statistics.

    Under MirroredStrategy each device's batch norms see only its share of the batches, and Keras lets their moving
    statistics drift apart; a file has room for one of them.
    """

    def on_test_begin(self, logs=None):
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        variables = [x for x in self.model.non_trainable_variables if x.dtype.startswith(("float", "bfloat"))]
        # In 64 bits, in which the mean of equal numbers is exact: what is frozen stays so to the bit.
        local = [
            sum(np.asarray(part, np.float64) for part in strategy.experimental_local_results(variable.value))
            for variable in variables
        ]
        with strategy.scope():
            for variable, total in zip(variables, sums.over_workers(strategy, local), strict=True):
                variable.assign(total / strategy.num_replicas_in_sync)
