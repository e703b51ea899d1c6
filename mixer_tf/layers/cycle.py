"""Cycle FC: a Dense layer whose input channels look at different pixels, in turn."""

import keras
import numpy as np
from keras import layers, ops


def cycle_steps(channels: int, kernel_size: tuple[int, int]) -> np.ndarray:
    """How far from the pixel each channel is read, `[channels, 2]` in (rows, columns): for 3 it is 0, 1, -1, 0 ..."""
    middle = [size // 2 for size in kernel_size]
    turns = np.arange(channels)[:, None] + np.array(middle)
    return turns % np.array(kernel_size) - np.array(middle)


@keras.saving.register_keras_serializable(package="mixer_tf")
class CycleFC(layers.Dense):
    """A Dense on `[b, h, w, c]` that reads channel i at `cycle_steps` from the pixel, and zero outside of the picture.

    It costs what a Dense costs and sees as many pixels as its kernel has.

    Args:
        units: channels of the output.
        kernel_size: (rows, columns), one of which is 1: along the other one the channels take their steps.
    """

    def __init__(self, units: int, kernel_size: tuple[int, int] = (1, 3), **kwargs):
        super().__init__(units, **kwargs)
        self.kernel_size: tuple[int, int] = (kernel_size[0], kernel_size[1])

    def call(self, x, training=None):
        channels, inner_shape = x.shape[-1], x.shape[1:-1]
        # A depthwise convolution with ones and zeros: several times as fast as slices of every third channel.
        reach = [size // 2 for size in self.kernel_size]
        taps = np.zeros((2 * reach[0] + 1, 2 * reach[1] + 1, channels, 1))
        steps = cycle_steps(channels, self.kernel_size) + reach
        taps[steps[:, 0], steps[:, 1], np.arange(channels)] = 1
        x = ops.depthwise_conv(x, ops.convert_to_tensor(taps, dtype=x.dtype), padding="same")
        y = super().call(ops.reshape(x, (-1, channels)), training=training)  # a matrix, as in layers/mlp.py
        return ops.reshape(y, (-1, *inner_shape, self.units))

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}
