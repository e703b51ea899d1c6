"""Depthwise convolution with several kernel sizes (MixConv, Tan & Le 2019, arXiv 1907.09595)."""

import keras
from keras import layers, ops

from mixer_tf.layers.shifts import chunk_widths


@keras.saving.register_keras_serializable(package="mixer_tf")
class MixedDepthwiseConv2D(layers.Layer):
    """Convolve each group of channels with a kernel size of its own: `[b, h, w, c] -> [b, h, w, c]`, zeros outside.

    Each group has its weights, `kernel0` and `bias0` the first. They run as *one* depthwise convolution, all kernels
    padded to the largest: measured on a CPU, half to two thirds of the time of one convolution per group.

    Args:
        kernel_sizes: odd side of the kernel of each group; groups are cut as `chunk_widths` says.

    Raises:
        ValueError: when a kernel size is even, or the channels do not give as many groups.
    """

    def __init__(self, kernel_sizes, **kwargs):
        super().__init__(**kwargs)
        self.kernel_sizes = tuple(kernel_sizes)
        if any(size % 2 == 0 or size < 1 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd; given: {self.kernel_sizes}")

    def build(self, input_shape):
        widths = chunk_widths(input_shape[-1], len(self.kernel_sizes))
        if len(widths) != len(self.kernel_sizes):
            raise ValueError(
                f"channels must give {len(self.kernel_sizes)} groups of ceil(channels / {len(self.kernel_sizes)}); "
                f"given: {input_shape[-1]} channels, {len(widths)} groups"
            )
        self.kernels, self.biases = [], []
        for n, (size, width) in enumerate(zip(self.kernel_sizes, widths, strict=True)):
            # PyTorch's default: within one over the square root of the taps
            start = {"class_name": "RandomUniform", "config": {"minval": -1 / size, "maxval": 1 / size}}
            self.kernels.append(self.add_weight(shape=(size, size, width, 1), initializer=start, name=f"kernel{n}"))
            self.biases.append(self.add_weight(shape=(width,), initializer=start, name=f"bias{n}"))

    def call(self, x):
        largest = max(self.kernel_sizes)
        kernels = []
        for kernel, size in zip(self.kernels, self.kernel_sizes, strict=True):
            margin = ((largest - size) // 2,) * 2
            kernels.append(ops.pad(ops.cast(kernel, x.dtype), (margin, margin, (0, 0), (0, 0))))
        y = ops.depthwise_conv(x, ops.concatenate(kernels, axis=2), padding="same")
        return y + ops.concatenate([ops.cast(bias, x.dtype) for bias in self.biases], axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kernel_sizes": self.kernel_sizes}
