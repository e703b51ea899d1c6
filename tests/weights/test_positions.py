import numpy as np
import pytest

from mixer_tf.layers.tokens import PositionEmbedding
from mixer_tf.weights.positions import fit_positions


def layer(grid, prefix=1, channels=2, stored_grid=None):
    layer = PositionEmbedding(grid, stored_grid)
    layer.build((None, prefix + grid[0] * grid[1], channels))
    return layer


def table(grid, prefix=1, channels=2):
    return np.random.default_rng(0).standard_normal((1, prefix + grid[0] * grid[1], channels), np.float32)


def test_the_same_grid_is_untouched():
    given = table((3, 3))
    fitted, note = fit_positions(layer((3, 3)), given, None)
    assert fitted is given
    assert note == ""


# torch 2.13.0: F.interpolate(table, size, mode="bicubic", antialias=True, align_corners=False), which timm calls.
TORCH = [
    (
        (np.arange(1, 10) ** 2).reshape(3, 3),
        [
            [0.013658171519637108, 0.9488749504089355, 2.902985095977783, 6.0660505294799805, 7.94325590133667],
            [7.607604026794434, 9.936227798461914, 14.42563247680664, 20.123991012573242, 23.394603729248047],
            [28.489471435546875, 32.847694396972656, 41.02993392944336, 50.42112731933594, 55.721336364746094],
            [49.56814956665039, 55.319786071777344, 66.03731536865234, 77.96379852294922, 84.65741729736328],
        ],
    ),
    (
        ((np.arange(16) - 5) ** 2).reshape(4, 4),
        [
            [10.249598503112793, 5.582335948944092, 4.208125114440918],
            [27.636363983154297, 42.11125946044922, 59.87921142578125],
        ],
    ),
]


@pytest.mark.parametrize(("given", "expected"), TORCH)
def test_torch_resizes_to_the_same_numbers(given, expected):
    given, expected = np.asarray(given, np.float32), np.asarray(expected, np.float32)
    class_row = np.full((1, 1, 1), 42, np.float32)
    stored = np.concatenate([class_row, given.reshape(1, -1, 1)], axis=1)
    fitted, note = fit_positions(layer(expected.shape, channels=1), stored, None)
    assert fitted[0, 0, 0] == 42
    np.testing.assert_allclose(fitted[0, 1:, 0], expected.ravel(), rtol=1e-6, atol=1e-5)
    assert note == "{}x{} -> {}x{}".format(*given.shape, *expected.shape)


def test_a_smooth_table_comes_back():
    rows, columns = np.meshgrid(np.linspace(0, np.pi, 8), np.linspace(0, np.pi, 8), indexing="ij")
    smooth = np.stack([np.sin(rows), np.cos(columns)], axis=-1).reshape(1, 64, 2).astype(np.float32)
    larger, _ = fit_positions(layer((16, 24), prefix=0), smooth, None)
    back, _ = fit_positions(layer((8, 8), prefix=0), larger, (16, 24))
    np.testing.assert_allclose(back, smooth, atol=0.03)


def test_the_file_may_know_its_grid():
    fitted, note = fit_positions(layer((4, 4)), table((2, 8)), (2, 8))
    assert fitted.shape == (1, 17, 2)
    assert note == "2x8 -> 4x4"


def test_without_metadata_a_square_number_of_patches_is_square():
    _, note = fit_positions(layer((2, 8)), table((4, 4)), None)
    assert note == "4x4 -> 2x8"


def test_the_grid_that_is_stored_counts():
    given = table((4, 4))
    fitted, note = fit_positions(layer((2, 3), stored_grid=(4, 4)), given, None)
    assert fitted is given
    assert note == ""


@pytest.mark.parametrize(
    "given",
    [
        table((2, 3)),  # no square, and the layer is of another size
        table((3, 3), prefix=0),  # no class token
        table((3, 3), channels=3),
        np.zeros((1, 1, 2), np.float32),
        np.zeros((10, 2), np.float32),
    ],
)
def test_what_cannot_be_understood_is_left_for_the_shape_check(given):
    fitted, note = fit_positions(layer((4, 5)), given, None)
    assert fitted is given
    assert note == ""
