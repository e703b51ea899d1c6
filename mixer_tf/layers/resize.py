"""Resizing of tables and kernels along one axis as a matrix product, exactly as the references interpolate.

`keras.ops.image.resize` and `tf.image.resize` know neither of these rules: their bicubic has `a = -0.5` and no clamped
borders (as DINOv2 and RaftMLP want), and their antialias cannot be asked for on a weight outside a graph.
"""

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops


def _cubic(x, a: float):
    """The cubic convolution kernel of Keys (1981) with the free parameter `a`."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _sources(size_in: int, size_out: int, *, align_corners: bool) -> np.ndarray:
    """Where each new value lies among the old ones."""
    if align_corners:
        return np.arange(size_out) * ((size_in - 1) / max(size_out - 1, 1))
    return (np.arange(size_out) + 0.5) * size_in / size_out - 0.5


def bicubic_matrix(size_in: int, size_out: int, *, align_corners: bool = False) -> np.ndarray:
    """`[size_out, size_in]`, PyTorch's bicubic: a = -0.75, border taps clamped, no antialias.

    Half-pixel centres, or with `align_corners` the first and last values on top of each other. DINOv2 resizes its
    position table so in every call, RaftMLP its feature maps, GFNet (with aligned corners) its filters.
    """
    source = _sources(size_in, size_out, align_corners=align_corners)
    first = np.floor(source).astype(int)
    matrix = np.zeros((size_out, size_in))
    for tap in range(-1, 3):
        weight = _cubic(source - (first + tap), a=-0.75)
        np.add.at(matrix, (np.arange(size_out), np.clip(first + tap, 0, size_in - 1)), weight)
    return matrix


def bilinear_matrix(size_in: int, size_out: int, *, align_corners: bool = False) -> np.ndarray:
    """`[size_out, size_in]`, PyTorch's bilinear: borders clamped, no antialias.

    Half-pixel centres, as FF-only resizes its position table in every call, or with `align_corners` the first and last
    values on top of each other, as EANet resizes its logits.
    """
    source = np.clip(_sources(size_in, size_out, align_corners=align_corners), 0, size_in - 1)
    return np.maximum(0, 1 - np.abs(source[:, None] - np.arange(size_in)))


def antialiased_bicubic_matrix(size_in: int, size_out: int) -> np.ndarray:
    """`[size_out, size_in]`, Pillow's and timm's bicubic: a = -0.5, widened when it shrinks, taps inside renormalised.

    timm resizes the position tables of published ViT checkpoints so. Equal sizes give the identity.
    """
    scale = max(size_in / size_out, 1.0)
    centre = (np.arange(size_out)[:, None] + 0.5) * size_in / size_out
    matrix = _cubic((np.arange(size_in)[None] + 0.5 - centre) / scale, a=-0.5)
    return matrix / matrix.sum(axis=1, keepdims=True)


def resize_grid(grid: np.ndarray, size: tuple[int, int], matrix=antialiased_bicubic_matrix) -> np.ndarray:
    """Resize a table `[h, w, c]` to `[*size, c]`, in float64, returned in the table's own dtype."""
    rows, columns = matrix(grid.shape[0], size[0]), matrix(grid.shape[1], size[1])
    return np.einsum("yh,xw,hwc->yxc", rows, columns, grid.astype(np.float64)).astype(grid.dtype)


class _Resize(layers.Layer):
    """Resize a feature map by the class's rule, along rows and columns: `[b, h, w, c] -> [b, *size, c]`, in float32.

    A layer, though it owns no weights, so that a saved model holds the size and not the matrices.

    Args:
        size: rows and columns of the result.
    """

    matrix: Callable[[int, int], np.ndarray]

    def __init__(self, size: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.size = tuple(size)

    def build(self, input_shape):
        _, *sides, _ = input_shape
        self.matrices = [self.matrix(old, new).astype("float32") for old, new in zip(sides, self.size, strict=True)]

    def call(self, x):
        _, rows, columns, channels = x.shape
        row_matrix, column_matrix = self.matrices
        y = ops.cast(x, "float32")
        if rows != self.size[0]:
            y = ops.matmul(row_matrix, ops.reshape(y, (-1, rows, columns * channels)))
            y = ops.reshape(y, (-1, self.size[0], columns, channels))
        if columns != self.size[1]:
            y = ops.matmul(column_matrix, y)
        return ops.cast(y, x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="mixer_tf")
class BicubicResize(_Resize):
    """Resize a feature map by PyTorch's bicubic rule (`bicubic_matrix`): `[b, h, w, c] -> [b, *size, c]`, in float32.

    Args:
        size: rows and columns of the result.
    """

    matrix = staticmethod(bicubic_matrix)


@keras.saving.register_keras_serializable(package="mixer_tf")
class AlignedBilinearResize(_Resize):
    """Resize a feature map bilinearly, old corners on new ones: `[b, h, w, c] -> [b, *size, c]`, in float32.

    PyTorch's `bilinear_matrix` with `align_corners`.

    Args:
        size: rows and columns of the result.
    """

    matrix = staticmethod(functools.partial(bilinear_matrix, align_corners=True))


def resize_bicubic(x, size: tuple[int, int], *, name: str):
    """Resize a feature map `[b, h, w, c]` by `BicubicResize`, or leave it alone where it has that size already."""
    return x if tuple(x.shape[1:3]) == tuple(size) else BicubicResize(size, name=name)(x)
