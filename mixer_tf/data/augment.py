"""Augmentation without state: every draw is a pure function of a seed, so a resumed run sees the same pictures."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from mixer_tf.checks import require
from mixer_tf.data import rand_augment
from mixer_tf.data.preprocess import Preprocessing, normalize, resample

ASPECT_RATIOS = (3 / 4, 4 / 3)  # of a random resized crop, width to height
ERASED_AREAS = (0.02, 1 / 3)  # of random erasing, relative to the picture: arXiv 1708.04896
ERASED_ASPECT_RATIOS = (0.3, 1 / 0.3)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What happens to training pictures, in the order of the fields. The default is nothing.

    Args:
        random_resized_crop: Smallest and largest area of a random crop, as fractions of the picture's area; its aspect
            ratio is drawn from 3/4..4/3. Without it the picture is resized and cropped as in evaluation.
        padded_crop: Pad the target-sized picture by so many black pixels on each side and crop at random (CIFAR).
        flip: Mirror left and right with probability 1/2.
        color_jitter: Largest relative change j of brightness, contrast and saturation: factors from 1-j..1+j.
        rand_augment: Number of operations and their magnitude 0..30, arXiv 1909.13719.
        random_erasing: Probability of filling a random rectangle with noise, arXiv 1708.04896.
        mixup: Alpha of the Beta distribution of mixup, arXiv 1710.09412; 0 is off.
        cutmix: Alpha of the Beta distribution of CutMix, arXiv 1905.04899; 0 is off. With both, each batch draws one.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> augmentation = Augmentation(random_resized_crop=(0.08, 1.0), flip=True, rand_augment=(2, 9.0), mixup=0.8)
    """

    random_resized_crop: tuple[float, float] | None = None
    padded_crop: int = 0
    flip: bool = False
    color_jitter: float = 0.0
    rand_augment: tuple[int, float] | None = None
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        for field in ("random_resized_crop", "rand_augment"):  # lists, as JSON and recipes write them
            value = getattr(self, field)
            object.__setattr__(self, field, tuple(value) if isinstance(value, list) else value)
        area, operations = self.random_resized_crop, self.rand_augment
        require(
            area is None or (_is_pair(area) and 0 < area[0] <= area[1] <= 1),
            f"random_resized_crop must be (smallest, largest) area with 0 < smallest <= largest <= 1; given: {area}",
        )
        require(
            isinstance(self.padded_crop, int) and self.padded_crop >= 0,
            f"padded_crop must be a whole number of pixels, 0 or more; given: {self.padded_crop}",
        )
        require(
            not (area and self.padded_crop),
            "random_resized_crop and padded_crop must not be set together; leave one out",
        )
        require(0 <= self.color_jitter <= 1, f"color_jitter must lie in 0..1; given: {self.color_jitter}")
        require(
            operations is None
            or (_is_pair(operations) and operations[0] in range(1, 100) and 0 <= operations[1] <= 30),
            f"rand_augment must be (number of operations from 1 on, magnitude in 0..30); given: {operations}",
        )
        require(0 <= self.random_erasing <= 1, f"random_erasing must be a probability; given: {self.random_erasing}")
        require(self.mixup >= 0, f"mixup must be 0 (off) or a positive alpha; given: {self.mixup}")
        require(self.cutmix >= 0, f"cutmix must be 0 (off) or a positive alpha; given: {self.cutmix}")


def augment_example(
    image: tf.Tensor, *, augmentation: Augmentation, preprocessing: Preprocessing, seed: tf.Tensor
) -> tf.Tensor:
    """Crop, change and normalise one training picture.

    Args:
        image: uint8 [h, w, 3].
        augmentation: What to do; `mixup` and `cutmix` are left to `mix_batch`.
        preprocessing: Target size, interpolation, mean and std. With the default augmentation the result is
            `preprocessing(image)`.
        seed: int32 or int64 [2]; the same seed gives the same result.

    Returns:
        float32 [H, W, 3], normalised.
    """
    x = augment_pixels(image, augmentation=augmentation, preprocessing=preprocessing, seed=seed)
    return normalize_and_erase(x, augmentation=augmentation, preprocessing=preprocessing, seed=seed)


def augment_pixels(
    image: tf.Tensor, *, augmentation: Augmentation, preprocessing: Preprocessing, seed: tf.Tensor
) -> tf.Tensor:
    """The first part of `augment_example`, what happens to pixels: float32 [H, W, 3] in [0, 255]."""
    crop_seed, flip_seed, jitter_seed, operations_seed, _ = _seeds(seed)
    if augmentation.random_resized_crop:
        x = _random_resized_crop(image, augmentation.random_resized_crop, preprocessing, crop_seed)
    else:
        x = preprocessing.resize(image)
    if augmentation.padded_crop:
        x = _padded_crop(x, augmentation.padded_crop, crop_seed)
    if augmentation.flip:
        x = tf.cond(chance(0.5, flip_seed), lambda: x[:, ::-1], lambda: x)
    if augmentation.color_jitter:
        x = color_jitter(x, augmentation.color_jitter, jitter_seed)
    if augmentation.rand_augment:
        pixels = tf.cast(tf.round(x), tf.uint8)
        x = tf.cast(rand_augment.rand_augment(pixels, *augmentation.rand_augment, seed=operations_seed), tf.float32)
    return x


def normalize_and_erase(
    pixels: tf.Tensor, *, augmentation: Augmentation, preprocessing: Preprocessing, seed: tf.Tensor
) -> tf.Tensor:
    """The second part of `augment_example`: from pixels in [0, 255] to the input, float32 [H, W, 3]."""
    x = normalize(pixels, preprocessing.mean, preprocessing.std)
    if augmentation.random_erasing:
        chance_seed, box_seed = tf.unstack(tf.random.split(_seeds(seed)[-1]))
        x = tf.cond(chance(augmentation.random_erasing, chance_seed), lambda: _erase(x, box_seed), lambda: x)
    return x


def mix_batch(
    images: tf.Tensor, labels: tf.Tensor, *, augmentation: Augmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix every example with its neighbour in the batch, by mixup or CutMix with one ratio for the whole batch.

    Args:
        images: float32 [b, H, W, 3].
        labels: float32 [b, k], one-hot.
        augmentation: Only `mixup` and `cutmix` are read; if both are 0 the batch is returned as it is.
        seed: int32 or int64 [2].

    Returns:
        Mixed images [b, H, W, 3] and labels [b, k]; each row of labels sums to 1.
    """
    choice_seed, ratio_seed, box_seed = tf.unstack(tf.random.split(seed, 3))

    def mixup():
        ratio = _beta(augmentation.mixup, ratio_seed)
        return _blend(images, ratio), _blend(labels, ratio)

    def cutmix():
        mask = _cutmix_mask(tf.shape(images)[1:3], _beta(augmentation.cutmix, ratio_seed), box_seed)
        # The share that is really kept: the box may have been clipped at the border, and is whole pixels.
        ratio = 1.0 - tf.reduce_mean(tf.cast(mask, tf.float32))
        return tf.where(mask, tf.roll(images, 1, axis=0), images), _blend(labels, ratio)

    if augmentation.mixup and augmentation.cutmix:
        return tf.cond(chance(0.5, choice_seed), mixup, cutmix)
    if augmentation.mixup:
        return mixup()
    if augmentation.cutmix:
        return cutmix()
    return images, labels


def _seeds(seed: tf.Tensor) -> list[tf.Tensor]:
    """Of crop, flip, jitter, operations and erasing."""
    return tf.unstack(tf.random.split(seed, 5))


def _random_resized_crop(
    image: tf.Tensor, areas: tuple[float, float], preprocessing: Preprocessing, seed: tf.Tensor
) -> tf.Tensor:
    scale, corner = random_resized_window(tf.shape(image)[:2], areas, preprocessing.image_size, seed)
    return resample(image, scale, corner, preprocessing.image_size, preprocessing.interpolation)


def random_resized_window(
    image_size: tf.Tensor, areas: tuple[float, float], target: tuple[int, int], seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw which part of a picture becomes the whole input.

    It is the first of ten drawn boxes that fits; if none does, the whole picture, its aspect ratio clipped.

    Args:
        image_size: Height and width of the picture in pixels, integers [2].
        areas: Smallest and largest area, as fractions of the picture's.
        target: Height and width of the input.
        seed: int32 or int64 [2].

    Returns:
        float32 [2] each: scale and corner for `resample`.
    """
    area_seed, aspect_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
    size = tf.cast(image_size, tf.float32)  # [height, width]
    area = tf.random.stateless_uniform([10], area_seed, *areas) * tf.reduce_prod(size)
    boxes = _sides(area, _log_uniform([10], aspect_seed, ASPECT_RATIOS))  # [10, 2]
    fits = tf.reduce_all(boxes <= size, axis=1)
    widest, narrowest = size[0] * ASPECT_RATIOS[1], size[1] / ASPECT_RATIOS[0]
    fallback = tf.minimum(size, tf.stack([narrowest, widest]))
    box = tf.where(tf.reduce_any(fits), boxes[tf.argmax(fits)], fallback)
    corner = tf.random.stateless_uniform([2], place_seed) * (size - box)  # no need for whole pixels
    scale = tf.constant(target, tf.float32) / box
    return scale, corner * scale


def _padded_crop(image: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
    padded = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    top, left = tf.unstack(tf.random.stateless_uniform([2], seed, 0, 2 * padding + 1, tf.int32))
    height, width, _ = image.shape
    return tf.slice(padded, [top, left, 0], [height, width, 3])


def color_jitter(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Change brightness, contrast and saturation of float32 [h, w, 3] in [0, 255] by factors from 1 ± strength."""
    brightness, contrast, saturation = tf.unstack(tf.random.stateless_uniform([3], seed, 1 - strength, 1 + strength))
    image = rand_augment.brightness(image, brightness)
    image = rand_augment.contrast(image, contrast)
    return rand_augment.color(image, saturation)


def _erase(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    area_seed, aspect_seed, place_seed, noise_seed = tf.unstack(tf.random.split(seed, 4))
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    area = tf.random.stateless_uniform([], area_seed, *ERASED_AREAS) * tf.reduce_prod(size)
    box = tf.minimum(_sides(area, _log_uniform([], aspect_seed, ERASED_ASPECT_RATIOS)), size)
    corner = tf.random.stateless_uniform([2], place_seed) * (size - box)
    mask = _box_mask(tf.shape(image)[:2], tf.round(corner), tf.round(corner + box))
    return tf.where(mask, tf.random.stateless_normal(image.shape, noise_seed), image)


def _cutmix_mask(size: tf.Tensor, ratio: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A box of area 1 - ratio around a uniformly drawn centre, clipped at the border: bool [H, W, 1]."""
    sides = tf.cast(size, tf.float32)
    box = sides * tf.sqrt(1.0 - ratio)
    centre = tf.random.stateless_uniform([2], seed) * sides
    return _box_mask(size, tf.round(centre - box / 2), tf.round(centre + box / 2))


def _box_mask(size: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """True from start (inclusive) to end (exclusive), both float [2] (row, column): bool [H, W, 1]."""
    rows, columns = tf.cast(tf.range(size[0]), tf.float32), tf.cast(tf.range(size[1]), tf.float32)
    in_rows = (rows >= start[0]) & (rows < end[0])
    in_columns = (columns >= start[1]) & (columns < end[1])
    return (in_rows[:, tf.newaxis] & in_columns)[..., tf.newaxis]


def _blend(batch: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    return ratio * batch + (1.0 - ratio) * tf.roll(batch, 1, axis=0)


def _beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """A draw of Beta(alpha, alpha); in float64, because gamma draws of a small alpha underflow in float32."""
    draws = tf.random.stateless_gamma([2], seed, alpha=tf.constant(alpha, tf.float64), dtype=tf.float64)
    return tf.cast(draws[0] / tf.reduce_sum(draws), tf.float32)


def _sides(area: tf.Tensor, aspect_ratio: tf.Tensor) -> tf.Tensor:
    """Height and width [..., 2] of boxes with these areas and ratios of width to height."""
    return tf.stack([tf.sqrt(area / aspect_ratio), tf.sqrt(area * aspect_ratio)], axis=-1)


def _log_uniform(shape: list[int], seed: tf.Tensor, limits: tuple[float, float]) -> tf.Tensor:
    return tf.exp(tf.random.stateless_uniform(shape, seed, math.log(limits[0]), math.log(limits[1])))


def chance(probability: float, seed: tf.Tensor) -> tf.Tensor:
    """True with this probability: bool []."""
    return tf.random.stateless_uniform([], seed) < probability


def _is_pair(value) -> bool:
    return isinstance(value, tuple) and len(value) == 2
