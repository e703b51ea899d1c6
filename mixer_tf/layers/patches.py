"""From pictures to patch embeddings."""

import math

import keras
from keras import layers, ops


def check_divisible(image_shape: tuple[int, int, int], divisor: int, *, what: str = "patch_size") -> None:
    """Refuse an image shape that the patches, or whatever else `what` says, do not tile.

    Raises:
        ValueError: when a side is no multiple of the divisor; it says what that is and names the nearest shape.
    """
    *sides, channels = image_shape
    if any(side % divisor for side in sides):
        nearest = tuple(max(1, round(side / divisor)) * divisor for side in sides)
        raise ValueError(
            f"image_shape {tuple(image_shape)} must be divisible by {what} {divisor}; nearest: {(*nearest, channels)}"
        )


def patch_embedding(image, hidden_dim: int, patch_size: int, *, name: str, kernel_initializer="lecun_normal"):
    """Cut the image into patches and project each: `[b, h * p, w * p, 3] -> [b, h, w, c]`."""
    check_divisible(image.shape[1:], patch_size)
    return layers.Conv2D(hidden_dim, patch_size, strides=patch_size, kernel_initializer=kernel_initializer, name=name)(
        image
    )


def overlapping_patch_embedding(
    x,
    hidden_dim: int,
    kernel_size: int,
    *,
    stride: int,
    padding: int | None = None,
    name: str,
    kernel_initializer="lecun_normal",
    use_bias=True,
):
    """Project overlapping patches: `[b, h, w, c] -> [b, (h + 2 p - k) / s + 1, ..., hidden_dim]`.

    Zeros are padded on every side alike, as PyTorch does; Keras's `"same"` pads an even side at its end only. No
    padding given: `(kernel_size - stride + 1) // 2`, which is 2 for 7x7 with stride 4 and 1 for 3x3 with stride 2.

    Raises:
        ValueError: when the patches neither overlap nor touch.
    """
    if kernel_size < stride:
        raise ValueError(f"patch_size must be at least patch_stride; given: {kernel_size} and {stride}")
    padding = (kernel_size - stride + 1) // 2 if padding is None else padding
    x = layers.ZeroPadding2D(padding, name=f"{name}_padding")(x)
    return layers.Conv2D(
        hidden_dim, kernel_size, strides=stride, use_bias=use_bias, kernel_initializer=kernel_initializer, name=name
    )(x)


def unfold(x, kernel_size: int, stride: int, padding: int):
    """Lay every window's pixels side by side: `[b, h, w, c] -> [b, h', w', kernel_size ** 2 * c]`, zeros outside.

    A window's entries are ordered by row, column and channel; PyTorch's `Unfold` has the channel first.
    """
    x = layers.ZeroPadding2D(padding)(x)
    return ops.image.extract_patches(x, kernel_size, strides=stride, padding="valid")


@keras.saving.register_keras_serializable(package="mixer_tf")
class MultiScalePatchEmbedding(layers.Layer):
    """Project the windows of several sizes around each patch together: `[b, h, w, c] -> [b, h / p, w / p, hidden_dim]`.

    RaftMLP's embedding. Its one matrix has a row for every (window, channel, row, column), windows in the order of
    `kernel_sizes`. All windows have the same centres, so the projection is one convolution: the smaller kernels, padded
    with zeros to the largest, are added to it. Beyond the border the picture counts as 0.

    Args:
        hidden_dim: channels of the result.
        kernel_sizes: sides of the windows; the first is the patch, the stride and the smallest.
        kernel_initializer: of the matrix; its fan-in are all entries of all windows.

    Raises:
        ValueError: when a window is no multiple of the patch or cannot be centred on it.
    """

    def __init__(self, hidden_dim: int, kernel_sizes: tuple[int, ...], kernel_initializer="lecun_normal", **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim, self.kernel_sizes = hidden_dim, tuple(kernel_sizes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.stride, self.largest = self.kernel_sizes[0], max(self.kernel_sizes)
        if any(side % self.stride or (side - self.stride) % 2 or side < self.stride for side in self.kernel_sizes):
            raise ValueError(
                f"kernels must be multiples of the first, {self.stride}, and wider by an even number; "
                f"given: {self.kernel_sizes}"
            )

    def build(self, input_shape):
        rows = input_shape[-1] * sum(side**2 for side in self.kernel_sizes)
        self.kernel = self.add_weight(shape=(rows, self.hidden_dim), initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.hidden_dim,), initializer="zeros", name="bias")

    def call(self, x):
        margin = (self.largest - self.stride) // 2
        x = ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0))) if margin else x
        return ops.conv(x, self._convolution(x.shape[-1]), strides=self.stride, padding="valid") + self.bias

    def _convolution(self, channels):
        """The sum of all windows' kernels: `[k, k, c, hidden_dim]` with the largest `k`."""
        total, start = 0, 0
        for side in self.kernel_sizes:
            stop, margin = start + channels * side**2, (self.largest - side) // 2
            window = ops.reshape(self.kernel[start:stop], (channels, side, side, self.hidden_dim))
            window = ops.transpose(window, (1, 2, 0, 3))
            total += ops.pad(window, ((margin, margin), (margin, margin), (0, 0), (0, 0))) if margin else window
            start = stop
        return total

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(side // self.stride for side in sides), self.hidden_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "kernel_sizes": self.kernel_sizes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def pyramid_level(stride: int) -> str:
    """The name of the feature pyramid's level with that stride: `P4` for 16, and for 14, which is nearest to it."""
    return f"P{round(math.log2(stride))}"


def pyramid_output(x, stride: int):
    """Name the output of a stage, `P2` for stride 4 to `P5` for 32, so that a detector finds it in any model."""
    return layers.Identity(name=pyramid_level(stride))(x)
