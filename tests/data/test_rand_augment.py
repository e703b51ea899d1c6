import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

from mixer_tf.data import rand_augment

PHOTO = np.ascontiguousarray(load_sample_images().images[0][150:213, 250:345])  # 63 x 95
DULL = (PHOTO // 3 + 40).astype(np.uint8)
FLAT = np.full([9, 7, 3], 70, np.uint8)


def difference(result, expected):
    return np.abs(np.asarray(result).astype(int) - np.asarray(expected).astype(int))


def test_the_fourteen_operations_of_the_paper():
    colours = {"autocontrast", "equalize", "solarize", "posterize", "color", "contrast", "brightness", "sharpness"}
    moves = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}
    assert set(rand_augment.OPERATIONS) == {"identity"} | colours | moves


@pytest.mark.parametrize("picture", [PHOTO, DULL, FLAT])
def test_equalize_and_autocontrast_are_pillows(picture):
    assert (
        difference(rand_augment.equalize(tf.constant(picture)), ImageOps.equalize(Image.fromarray(picture))).max() == 0
    )
    result = rand_augment.autocontrast(tf.constant(picture))
    assert difference(result, ImageOps.autocontrast(Image.fromarray(picture))).max() <= 1


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(bits):
    expected = ImageOps.posterize(Image.fromarray(PHOTO), bits)
    assert difference(rand_augment.posterize(tf.constant(PHOTO), bits), expected).max() == 0


@pytest.mark.parametrize("threshold", [0, 1, 100, 255, 256])
def test_solarize_is_pillows(threshold):
    expected = ImageOps.solarize(Image.fromarray(PHOTO), threshold)
    assert difference(rand_augment.solarize(tf.constant(PHOTO), threshold), expected).max() == 0


@pytest.mark.parametrize("level", [-1.0, -0.4, 0.3, 1.0])
@pytest.mark.parametrize("name", ["color", "contrast", "brightness", "sharpness"])
def test_enhancements_are_pillows(name, level):
    result = rand_augment.OPERATIONS[name](tf.constant(PHOTO), tf.constant(level))
    expected = getattr(ImageEnhance, name.title())(Image.fromarray(PHOTO)).enhance(1 + 0.9 * level)
    assert difference(result, expected).max() <= 2


@pytest.mark.parametrize("level", [-0.7, 1.0])
@pytest.mark.parametrize("name", ["shear_x", "shear_y", "rotate"])
def test_affine_operations_are_pillows(name, level):
    result = rand_augment.OPERATIONS[name](tf.constant(PHOTO), tf.constant(level))
    y, x = 63 / 2, 95 / 2  # PIL measures from the corner of the corner pixel
    angle, shear = np.deg2rad(30 * level), 0.3 * level
    a, b, d, e = {
        "shear_x": (1, shear, 0, 1),
        "shear_y": (1, 0, shear, 1),
        "rotate": (np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)),
    }[name]
    data = (a, b, x - a * x - b * y, d, e, y - d * x - e * y)
    grey = (128, 128, 128)
    expected = Image.fromarray(PHOTO).transform(
        (95, 63), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=grey
    )
    assert (difference(result, expected) <= 2).mean() > 0.96  # but for the seam to the filled part


@pytest.mark.parametrize("level", [1.0, -1.0])
def test_rotation_is_by_thirty_degrees_both_ways(level):
    result = rand_augment.OPERATIONS["rotate"](tf.constant(PHOTO), level)
    expected = Image.fromarray(PHOTO).rotate(30 * level, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128))
    assert difference(result, expected).mean() < 2


@pytest.mark.parametrize(("name", "axis", "pixels"), [("translate_y", 0, 14), ("translate_x", 1, 21)])
def test_translations_move_by_a_part_of_the_side(name, axis, pixels):
    moved = np.moveaxis(rand_augment.OPERATIONS[name](tf.constant(PHOTO), 0.5).numpy(), axis, 0)
    original = np.moveaxis(PHOTO, axis, 0)
    np.testing.assert_array_equal(moved[pixels:], original[:-pixels])
    assert (moved[:pixels] == 128).all()
    back = np.moveaxis(rand_augment.OPERATIONS[name](tf.constant(PHOTO), -0.5).numpy(), axis, 0)
    np.testing.assert_array_equal(back[:-pixels], original[pixels:])


@pytest.mark.parametrize("name", sorted(set(rand_augment.OPERATIONS) - {"autocontrast", "equalize"}))
def test_magnitude_zero_is_the_identity(name):
    np.testing.assert_array_equal(rand_augment.OPERATIONS[name](tf.constant(PHOTO), tf.constant(0.0)), PHOTO)


@pytest.mark.parametrize("level", [1.0, -1.0, 3.0, -3.0])
@pytest.mark.parametrize("name", rand_augment.OPERATIONS)
def test_full_magnitude_and_three_times_as_much_change_the_picture_but_not_its_form(name, level):
    result = rand_augment.OPERATIONS[name](tf.constant(DULL), tf.constant(level))
    assert result.dtype == tf.uint8
    assert result.shape == DULL.shape
    assert np.array_equal(result, DULL) == (name == "identity")


def test_every_operation_is_drawn_and_the_seed_decides():
    draw = tf.function(lambda seed: rand_augment.rand_augment(tf.constant(DULL), 1, 9.0, seed=seed))
    results = [draw(tf.constant([5, i])).numpy().tobytes() for i in range(150)]
    assert len(set(results)) == 14 + 9  # nine operations have a sign: rotate, four enhancements, four moves
    assert results == [draw(tf.constant([5, i])).numpy().tobytes() for i in range(150)]
