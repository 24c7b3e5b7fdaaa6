"""The same random draws in an epoch, whether the run was interrupted before it or not; others on each device."""

import keras


class SeedEpoch(keras.callbacks.Callback):
    """Sets the state of every random layer from (seed, layer, epoch, device).

    Keras keeps these states out of its files; derived from the epoch they need not be there, and a resumed run drops
    the same units as an uninterrupted one. Left alone, Keras gives every device of a strategy the same state, and all
    parts of a batch the same draws.

    Args:
        seed: of the run.
        first: the number of the first device of this process among those of all workers.
    """

    def __init__(self, seed: int, first: int = 0):
        super().__init__()
        self._seed, self._first = seed, first

    def on_epoch_begin(self, epoch, logs=None):
        states = [variable for variable in self.model.variables if variable.path.endswith("seed_generator_state")]
        strategy = self.model.distribute_strategy
        for index, state in enumerate(states):
            # The second number counts draws, so epochs start far apart; the first keeps layers, runs and devices apart.
            for device, own in enumerate(strategy.experimental_local_results(state.value), self._first):
                number = self._seed * 7919 + index * 104729 + device * 15485863
                own.assign([number % 2**31, epoch * 2**20 % 2**31])
