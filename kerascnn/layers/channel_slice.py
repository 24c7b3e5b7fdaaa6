"""Some of the channels."""

from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class ChannelSlice(keras.layers.Layer):
    """Channels `start` to `stop` - 1: [batch, height, width, channels] -> [batch, height, width, stop - start].

    Args:
        start: first channel, from 0.
        stop: the one after the last; None: to the end.

    Raises:
        InputError: the range is empty or goes beyond the channels of the input.
    """

    def __init__(self, start: int, stop: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.start, self.stop = int(start), None if stop is None else int(stop)
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise InputError(f"`start` must be at least 0 and below `stop`. Received: start={start}, stop={stop}")

    def call(self, x: Any) -> Any:
        """x [..., channels] -> [..., stop - start]."""
        return x[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        *sizes, channels = input_shape
        stop = channels if self.stop is None else self.stop
        if not self.start < stop <= channels:
            raise InputError(
                f"Channels {self.start} to {stop} must lie within those of the input. Received: {tuple(input_shape)}"
            )
        return (*sizes, stop - self.start)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
