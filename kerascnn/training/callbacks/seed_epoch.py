"""The same random draws in an epoch, whether the run was interrupted before it or not."""

import keras


class SeedEpoch(keras.callbacks.Callback):
    """Sets the state of every random layer from (seed, layer, epoch).

    Keras keeps these states out of its files; derived from the epoch they need not be there, and a resumed run drops
    the same units as an uninterrupted one.
    """

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [variable for variable in self.model.variables if variable.path.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            # The second number counts draws, so epochs start far apart; the first keeps layers and runs apart.
            state.assign([(self._seed * 7919 + index * 104729) % 2**31, epoch * 2**20 % 2**31])
