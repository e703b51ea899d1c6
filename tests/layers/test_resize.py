"""Resizing along an axis, as the references interpolate."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.resize import (
    AlignedBilinearResize,
    BicubicResize,
    antialiased_bicubic_matrix,
    bicubic_matrix,
    bilinear_matrix,
    resize_bicubic,
    resize_grid,
)

# PyTorch 2.13: F.interpolate([0, 1, 4, 9, 16], size, mode="bicubic", align_corners=False), without and with antialias.
SQUARES = np.arange(5.0) ** 2
TORCH = {
    3: ([0.148148, 4.0, 14.074074], [0.169231, 4.195349, 13.338462]),
    7: (
        [-0.078717, 0.265306, 1.682216, 4.0, 7.046647, 12.463557, 16.551020],
        [-0.058252, 0.360111, 1.653061, 4.0, 7.367347, 12.415512, 16.407767],
    ),
}


@pytest.mark.parametrize("size", TORCH)
def test_both_rules_equal_pytorch(size):
    plain, antialiased = TORCH[size]
    np.testing.assert_allclose(bicubic_matrix(5, size) @ SQUARES, plain, atol=1e-6)
    np.testing.assert_allclose(antialiased_bicubic_matrix(5, size) @ SQUARES, antialiased, atol=1e-6)


@pytest.mark.parametrize("matrix", [bicubic_matrix, antialiased_bicubic_matrix])
def test_same_size_is_the_identity(matrix):
    np.testing.assert_allclose(matrix(6, 6), np.eye(6), atol=1e-12)


@pytest.mark.parametrize("matrix", [bicubic_matrix, antialiased_bicubic_matrix])
def test_a_constant_stays_constant(matrix):
    np.testing.assert_allclose(matrix(5, 8).sum(axis=1), 1)
    np.testing.assert_allclose(matrix(8, 5).sum(axis=1), 1)


def test_smooth_grid_up_and_back_returns():
    rows, columns = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 7), indexing="ij")
    grid = np.stack([np.sin(3 * rows) * columns, np.cos(2 * columns)], axis=-1).astype("float32")
    back = resize_grid(resize_grid(grid, (18, 21)), (9, 7))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, grid, atol=0.03)  # of a range of 1; the worst is at the border


def test_rows_and_columns_are_not_swapped():
    grid = np.repeat(np.arange(3.0)[:, None, None], 5, axis=1)  # the value is the row
    resized = resize_grid(grid, (6, 2))
    np.testing.assert_allclose(resized[:, 0], resized[:, 1])
    assert (np.diff(resized[:, 0, 0]) > 0).all()


# torch 2.13.0: F.interpolate([0, 1, 4, 9, 16], size, mode="bilinear", align_corners=False)
@pytest.mark.parametrize(
    ("size", "expected"),
    [(3, [1 / 3, 4.0, 41 / 3]), (7, [0.0, 0.571429, 1.857143, 4.0, 7.571429, 12.0, 16.0])],
)
def test_bilinear_rule_equals_pytorch(size, expected):
    np.testing.assert_allclose(bilinear_matrix(5, size) @ np.arange(5.0) ** 2, expected, atol=1e-6)


# torch 2.13.0: F.interpolate([0, 1, 4, 9, 16], size, mode="bilinear", align_corners=True)
@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [0.0]), (3, [0.0, 4.0, 16.0]), (7, [0.0, 2 / 3, 2.0, 4.0, 22 / 3, 34 / 3, 16.0])],
)
def test_bilinear_rule_with_aligned_corners_equals_pytorch(size, expected):
    np.testing.assert_allclose(bilinear_matrix(5, size, align_corners=True) @ SQUARES, expected, atol=1e-6)


def test_a_map_is_resized_along_both_axes():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    expected = np.einsum("yh,xw,bhwc->byxc", bicubic_matrix(4, 3), bicubic_matrix(5, 7), x)
    np.testing.assert_allclose(BicubicResize((3, 7))(x), expected, atol=1e-5)
    np.testing.assert_allclose(BicubicResize((4, 7))(x), np.einsum("xw,bhwc->bhxc", bicubic_matrix(5, 7), x), atol=1e-5)


def test_a_map_is_resized_with_its_corners_on_the_corners():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    y = AlignedBilinearResize((5, 10))(x).numpy()
    np.testing.assert_allclose(y[:, ::2, ::3], x, atol=1e-6)
    np.testing.assert_allclose(y[:, 1, 0], (x[:, 0, 0] + x[:, 1, 0]) / 2, atol=1e-6)
    np.testing.assert_allclose(y[:, 0, 1], (2 * x[:, 0, 0] + x[:, 0, 1]) / 3, atol=1e-6)


def test_a_map_of_the_right_size_is_left_alone():
    x = keras.Input((4, 5, 3))
    assert resize_bicubic(x, (4, 5), name="a") is x
    assert resize_bicubic(x, (3, 5), name="b").shape == (None, 3, 5, 3)


def test_saved_layer_holds_the_size_and_no_matrices():
    for resize in (BicubicResize, AlignedBilinearResize):
        layer = resize((3, 7), name="a")
        assert layer.get_config()["size"] == (3, 7)
        assert resize.from_config(layer.get_config())(keras.Input((4, 5, 3))).shape == (None, 3, 7, 3)
        assert layer.weights == []
