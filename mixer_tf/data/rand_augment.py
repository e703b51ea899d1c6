"""RandAugment: Practical automated data augmentation with a reduced search space.

Cubuk, Zoph, Shlens, Le, 2019, arXiv 1909.13719; reference code: tensorflow/tpu, models/official/efficientnet.

A few operations, drawn uniformly from fourteen, are applied one after the other, all with the same magnitude.
The operations are those of PIL, and agree with it. Deviations from the reference: each magnitude grows with the
strength of the change and 0 leaves the picture as it is (the reference's posterize and solarize run the other way,
and its enhancements have their identity at 5), and a shift is relative to the picture's size.
"""

from __future__ import annotations

import math

import tensorflow as tf

MAX_ANGLE = 30.0  # degrees, at magnitude 10, as all the following
MAX_SHEAR = 0.3
MAX_SHIFT = 0.45  # of the picture's side
MAX_ENHANCEMENT = 0.9  # factor 0.1 or 1.9
MAX_LOST_BITS = 4
FILL = 128  # grey, where a picture was moved away

_GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601, as PIL


def rand_augment(image: tf.Tensor, num_operations: int, magnitude: float, *, seed: tf.Tensor) -> tf.Tensor:
    """Apply operations drawn at random.

    Args:
        image: uint8 [h, w, 3].
        num_operations: How many, one after the other.
        magnitude: Their strength, 0..30. Papers count in tenths of the ranges above and now and then go beyond 10.
        seed: int32 or int64 [2].

    Returns:
        uint8 [h, w, 3].
    """
    kind_seed, sign_seed = tf.unstack(tf.random.split(seed))
    kinds = tf.random.stateless_uniform([num_operations], kind_seed, 0, len(OPERATIONS), tf.int32)
    positive = tf.random.stateless_uniform([num_operations], sign_seed) < 0.5
    for i in range(num_operations):
        level = tf.where(positive[i], 1.0, -1.0) * (magnitude / 10)
        image = _apply(image, kinds[i], level)
    return image


def _apply(image: tf.Tensor, kind: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Run one operation; the others are not computed."""
    branches = [lambda operation=operation: operation(image, level) for operation in OPERATIONS.values()]
    return tf.ensure_shape(tf.switch_case(kind, branches), image.shape)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale float [h, w, 3] in [0, 255] towards (factor < 1) or away from black."""
    return tf.clip_by_value(image * factor, 0.0, 255.0)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale float [h, w, 3] in [0, 255] towards (factor < 1) or away from its mean grey."""
    return _blend(tf.round(tf.reduce_mean(_grey(image))), image, factor)


def color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale float [h, w, 3] in [0, 255] towards (factor < 1) or away from its greyscale version."""
    return _blend(_grey(image), image, factor)


def sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale float [h, w, 3] in [0, 255] towards (factor < 1) or away from its smoothed version."""
    box = tf.nn.avg_pool2d(image[tf.newaxis], 3, 1, "VALID")[0]
    smooth = tf.round((9.0 * box + 4.0 * image[1:-1, 1:-1]) / 13.0)  # PIL's kernel: ones, and 5 in the middle
    inner = _blend(smooth, image[1:-1, 1:-1], factor)
    top, bottom, left, right = image[:1], image[-1:], image[1:-1, :1], image[1:-1, -1:]  # PIL leaves the border
    return tf.concat([top, tf.concat([left, inner, right], axis=1), bottom], axis=0)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Flatten the histogram of each channel of uint8 [h, w, 3]."""
    flat = tf.cast(image, tf.int32) + tf.constant([0, 256, 512])
    histogram = tf.reshape(tf.math.bincount(flat, minlength=768, maxlength=768), [3, 256])
    total = tf.reduce_sum(histogram, axis=1)
    brightest = tf.reduce_max(tf.where(histogram > 0, tf.range(256), 0), axis=1)
    step = (total - tf.gather(histogram, brightest, batch_dims=1))[:, tf.newaxis] // 255
    table = (step // 2 + tf.cumsum(histogram, axis=1, exclusive=True)) // tf.maximum(step, 1)
    return _look_up(tf.where(step > 0, table, tf.range(256)), image)


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretch each channel of uint8 [h, w, 3] to the whole range 0..255."""
    low, high = (
        tf.cast(reduce(image, axis=[0, 1]), tf.int32)[:, tf.newaxis] for reduce in (tf.reduce_min, tf.reduce_max)
    )
    table = (tf.range(256) - low) * 255 // tf.maximum(high - low, 1)
    return _look_up(tf.where(high > low, table, tf.range(256)), image)


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Invert the values of uint8 [h, w, 3] from the threshold (0..256) on."""
    return tf.where(tf.cast(image, tf.int32) < threshold, image, 255 - image)


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keep the highest bits (1..8) of each value of uint8 [h, w, 3]."""
    lost = tf.cast(8 - bits, tf.uint8)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(image, lost), lost)


def affine(image: tf.Tensor, matrix: list[list[tf.Tensor | float]]) -> tf.Tensor:
    """Move the pixels of uint8 [h, w, 3] about its centre, bilinearly.

    Args:
        image: The picture.
        matrix: [[a, b, c], [d, e, f]]; the result at (x, y), measured from the centre, is the picture's value at
            (a x + b y + c, d x + e y + f).

    Returns:
        uint8 [h, w, 3].
    """
    (a, b, c), (d, e, f) = matrix
    size = tf.shape(image)
    y, x = (tf.cast(side - 1, tf.float32) / 2 for side in (size[0], size[1]))
    transform = tf.stack([a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=transform[tf.newaxis],
        output_shape=size[:2],
        fill_value=float(FILL),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def _rotate(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    angle = level * math.radians(MAX_ANGLE)
    sin, cos = tf.sin(angle), tf.cos(angle)
    return affine(image, [[cos, -sin, 0.0], [sin, cos, 0.0]])


def _enhance(operation):
    """Make an operation on uint8 and a level in -3..3 of one on floats and a factor."""

    def enhanced(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        changed = operation(tf.cast(image, tf.float32), tf.maximum(1.0 + MAX_ENHANCEMENT * level, 0.0))
        return tf.cast(changed, tf.uint8)  # cut, not rounded, as PIL

    return enhanced


def _blend(start: tf.Tensor, image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(start + factor * (image - start), 0.0, 255.0)


def _grey(image: tf.Tensor) -> tf.Tensor:
    return tf.linalg.matmul(image, tf.constant(_GREY_WEIGHTS, shape=[3, 1]))


def _look_up(table: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Replace each value of uint8 [h, w, 3] by its entry in the table int32 [3, 256]."""
    entries = tf.cast(tf.clip_by_value(table, 0, 255), tf.uint8)
    return tf.gather(tf.reshape(entries, [-1]), tf.cast(image, tf.int32) + tf.constant([0, 256, 512]))


def _shift(image: tf.Tensor, level: tf.Tensor, axis: int) -> tf.Tensor:
    """The picture moved by whole pixels along one axis: far faster than an affine transformation."""
    size = tf.shape(image)
    pixels = tf.cast(tf.round(level * MAX_SHIFT * tf.cast(size[axis], tf.float32)), tf.int32)
    before, after = tf.maximum(pixels, 0), tf.maximum(-pixels, 0)
    padded = tf.pad(image, [[before, after] if i == axis else [0, 0] for i in range(3)], constant_values=FILL)
    return tf.slice(padded, [after if i == axis else 0 for i in range(3)], size)


def _posterize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    lost_bits = tf.minimum(tf.cast(tf.round(MAX_LOST_BITS * tf.abs(level)), tf.int32), 7)
    return posterize(image, 8 - lost_bits)


# The paper's fourteen, as functions of a uint8 picture and a level (magnitude / 10) whose sign is drawn.
OPERATIONS = {
    "identity": lambda image, level: image,
    "autocontrast": lambda image, level: autocontrast(image),
    "equalize": lambda image, level: equalize(image),
    "rotate": _rotate,
    "solarize": lambda image, level: solarize(image, tf.cast(256 * (1 - tf.abs(level)), tf.int32)),
    "color": _enhance(color),
    "posterize": _posterize,
    "contrast": _enhance(contrast),
    "brightness": _enhance(brightness),
    "sharpness": _enhance(sharpness),
    "shear_x": lambda image, level: affine(image, [[1.0, MAX_SHEAR * level, 0.0], [0.0, 1.0, 0.0]]),
    "shear_y": lambda image, level: affine(image, [[1.0, 0.0, 0.0], [MAX_SHEAR * level, 1.0, 0.0]]),
    "translate_x": lambda image, level: _shift(image, level, axis=1),
    "translate_y": lambda image, level: _shift(image, level, axis=0),
}
