"""The learned square that hides a part of a picture."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.mask_tile import MaskTile


def inputs(dtype="float32"):
    random = np.random.default_rng(0)
    image = keras.ops.cast(random.normal(size=(2, 6, 9, 4)), dtype)
    return image, np.array([[[1, 0, 0], [0, 1, 1]], [[0, 0, 0], [1, 0, 1]]], "int32")


def test_tile_stands_in_the_masked_units_and_nowhere_else():
    image, units = inputs()
    layer = MaskTile(3)
    covered = layer([image, units]).numpy()
    assert layer.tile.shape == (3, 3, 4)
    for picture, row, column in np.ndindex(units.shape):
        place = picture, slice(3 * row, 3 * row + 3), slice(3 * column, 3 * column + 3)
        expected = layer.tile if units[picture, row, column] else image.numpy()[place]
        np.testing.assert_array_equal(covered[place], expected)


def test_what_is_hidden_may_be_anything():
    image, units = inputs()
    image = image.numpy()
    image[0, :3, :3] = np.nan
    assert np.isfinite(MaskTile(3)([image, units])).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_picture_keeps_its_type_under_a_mixed_policy(dtype):
    keras.config.set_dtype_policy("mixed_bfloat16")
    image, units = inputs(dtype)
    covered = MaskTile(3)([image, units])
    assert keras.backend.standardize_dtype(covered.dtype) == dtype
    np.testing.assert_array_equal(covered[1, :3, :3], image[1, :3, :3])


def test_config_keeps_every_argument():
    layer = MaskTile.from_config(MaskTile(5, initializer="ones", name="cover").get_config())
    assert (layer.unit, layer.name) == (5, "cover")
    assert isinstance(layer.initializer, keras.initializers.Ones)
