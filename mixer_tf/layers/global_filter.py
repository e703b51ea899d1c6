"""GFNet's token mixing: a learned filter per channel over the whole picture, applied to its frequencies."""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="mixer_tf")
class GlobalFilter(layers.Layer):
    """Multiply the 2-D Fourier transform of every channel by learned complex numbers: `[b, h, w, c] -> [b, h, w, c]`.

    `complex_weight` `[h, w // 2 + 1, c, 2]` holds real and imaginary parts. It is not Hermitian in its first column
    and, for an even width, its last; as in the inverse real FFT, the imaginary part of what it gives there is left out.

    The transforms are products with DFT matrices, in float32 whatever the policy. At the sizes of feature maps they are
    as fast on a CPU as an FFT with the transpositions that it needs, and nothing is complex for an accelerator.
    """

    def build(self, input_shape):
        _, height, width, channels = input_shape
        self.complex_weight = self.add_weight(
            shape=(height, width // 2 + 1, channels, 2),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            autocast=False,
            name="complex_weight",
        )
        self.to_columns, self.to_rows, self.from_rows, self.from_columns = dft_matrices(height, width)

    def call(self, x):
        _, h, w, c = x.shape
        k = w // 2 + 1  # frequencies along the width
        weight = ops.convert_to_tensor(self.complex_weight)

        y = ops.matmul(self.to_columns, ops.cast(x, "float32"))  # [b, h, 2 * k, c], all real parts first
        y = ops.transpose(ops.reshape(y, (-1, h, 2, k, c)), (0, 2, 1, 3, 4))
        y = ops.matmul(self.to_rows, ops.reshape(y, (-1, 2 * h, k * c)))
        y = ops.reshape(y, (-1, 2, h, k, c))

        (real, imaginary), (a, b) = ops.unstack(y, axis=1), ops.unstack(weight, axis=-1)
        y = ops.stack([real * a - imaginary * b, real * b + imaginary * a], axis=1)

        y = ops.matmul(self.from_rows, ops.reshape(y, (-1, 2 * h, k * c)))
        y = ops.transpose(ops.reshape(y, (-1, 2, h, k, c)), (0, 2, 1, 3, 4))
        y = ops.matmul(self.from_columns, ops.reshape(y, (-1, h, 2 * k, c)))
        return ops.cast(y, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


def dft_matrices(height: int, width: int) -> list[np.ndarray]:
    """The 2-D real Fourier transform and its inverse, axis by axis, as real matrices in float32.

    Real and imaginary parts stand one below the other: `[2 k, w]` from `w` numbers to `k = w // 2 + 1` frequencies,
    `[2 h, 2 h]` along the height, `[2 h, 2 h]` back, `[w, 2 k]` back.
    """
    cos, sin = _waves(height)
    to_rows, from_rows = np.block([[cos, sin], [-sin, cos]]), np.block([[cos, -sin], [sin, cos]]) / height

    cos, sin = (waves[: width // 2 + 1] for waves in _waves(width))
    to_columns = np.concatenate([cos, -sin])
    alone = np.arange(width // 2 + 1)[:, None] * 2 % width == 0  # has no mirror image, as all other frequencies have
    from_columns = np.concatenate([np.where(alone, 1, 2) * cos, np.where(alone, 0, -2) * sin]).T / width
    return [matrix.astype("float32") for matrix in (to_columns, to_rows, from_rows, from_columns)]


def _waves(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine `[frequency, place]`."""
    turns = np.outer(np.arange(size), np.arange(size)) % size / size  # exact for large products too
    return np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
