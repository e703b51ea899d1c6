"""From pictures to patch embeddings."""

import math

from keras import layers, ops


def check_divisible(image_shape: tuple[int, int, int], divisor: int, *, what: str = "patch_size") -> None:
    """Refuse an image shape that the patches do not tile.

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
        ValueError: when the patches do not overlap or touch and no padding is given.
    """
    if padding is None:
        if kernel_size < stride:
            raise ValueError(f"patch_size must be at least patch_stride; given: {kernel_size} and {stride}")
        padding = (kernel_size - stride + 1) // 2
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


def pyramid_level(stride: int) -> str:
    """The name of the feature pyramid's level with that stride: `P4` for 16, and for 14, which is nearest to it."""
    return f"P{round(math.log2(stride))}"


def pyramid_output(x, stride: int):
    """Name the output of a stage, `P2` for stride 4 to `P5` for 32, so that a detector finds it in any model."""
    return layers.Identity(name=pyramid_level(stride))(x)
