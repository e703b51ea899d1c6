"""From pictures to patch embeddings."""

import math

from keras import layers


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
    padding: int,
    name: str,
    kernel_initializer="lecun_normal",
    use_bias=True,
):
    """Project overlapping patches: `[b, h, w, c] -> [b, (h + 2 p - k) / s + 1, ..., hidden_dim]`.

    Zeros are padded on every side alike, as PyTorch does; Keras's `"same"` pads an even side at its end only.
    """
    x = layers.ZeroPadding2D(padding, name=f"{name}_padding")(x)
    return layers.Conv2D(
        hidden_dim, kernel_size, strides=stride, use_bias=use_bias, kernel_initializer=kernel_initializer, name=name
    )(x)


def pyramid_level(stride: int) -> str:
    """The name of the feature pyramid's level with that stride: `P4` for 16, and for 14, which is nearest to it."""
    return f"P{round(math.log2(stride))}"


def pyramid_output(x, stride: int):
    """Name the output of a stage, `P2` for stride 4 to `P5` for 32, so that a detector finds it in any model."""
    return layers.Identity(name=pyramid_level(stride))(x)
