"""Augmentation of pictures with their boxes, without state: every draw is a pure function of a seed.

A picture is put onto the input by one scaling and one shift, and its boxes by the same two; so boxes are right to the
pixel, and what has left the picture is dropped and counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from mixer_tf.checks import require
from mixer_tf.data.augment import chance, color_jitter, random_resized_window
from mixer_tf.data.boxes import box_areas, clip_boxes
from mixer_tf.data.preprocess import Preprocessing, resample
from mixer_tf.data.splits import Example

MOSAIC_CENTRES = (0.25, 0.75)  # where the four pictures of a mosaic meet, as fractions of the input
MOSAIC_SCALES = (0.5, 1.0)  # of its pictures, relative to a whole picture in the input
MIXUP_ALPHA = 32.0  # near to half and half, as YOLOv5 and its successors mix
LEAST_SIDE = 1.0  # in pixels of the input; a smaller box is no object any more


@dataclasses.dataclass(frozen=True)
class DetectionAugmentation:
    """What happens to training pictures and their boxes. The default is nothing.

    Args:
        scale_jitter: Smallest and largest factor by which the picture is scaled, relative to a whole picture in the
            input, arXiv 2012.07177; what is too large is cropped at random, what is too small is put anywhere.
        random_resized_crop: Smallest and largest area of a random crop, as fractions of the picture's area; its aspect
            ratio is drawn from 3/4..4/3, and it fills the input. Without both, the picture is placed as in evaluation.
        flip: Mirror left and right with probability 1/2.
        mosaic: Probability of four pictures around a random centre, arXiv 2004.10934, in place of one.
        mixup: Probability of blending with another picture, whose objects are added, arXiv 1902.04103.
        color_jitter: Largest relative change j of brightness, contrast and saturation: factors from 1-j..1+j.
        min_visibility: Least part of a box's area that must remain in the picture, else the object is dropped.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> augmentation = DetectionAugmentation(scale_jitter=(0.5, 1.5), flip=True, mosaic=0.5, color_jitter=0.3)
    """

    scale_jitter: tuple[float, float] | None = None
    random_resized_crop: tuple[float, float] | None = None
    flip: bool = False
    mosaic: float = 0.0
    mixup: float = 0.0
    color_jitter: float = 0.0
    min_visibility: float = 0.25

    def __post_init__(self):
        for field in ("scale_jitter", "random_resized_crop"):  # lists, as JSON and recipes write them
            value = getattr(self, field)
            object.__setattr__(self, field, tuple(value) if isinstance(value, list) else value)
        scales, areas = self.scale_jitter, self.random_resized_crop
        require(
            scales is None or (_is_pair(scales) and 0 < scales[0] <= scales[1] <= 10),
            f"scale_jitter must be (smallest, largest) factor with 0 < smallest <= largest <= 10; given: {scales}",
        )
        require(
            areas is None or (_is_pair(areas) and 0 < areas[0] <= areas[1] <= 1),
            f"random_resized_crop must be (smallest, largest) area with 0 < smallest <= largest <= 1; given: {areas}",
        )
        require(not (scales and areas), "scale_jitter and random_resized_crop must not be set together; leave one out")
        for field in ("mosaic", "mixup", "color_jitter", "min_visibility"):
            value = getattr(self, field)
            require(0 <= value <= 1, f"{field} must lie in 0..1; given: {value}")


def augment_objects(
    read: Callable[[tf.Tensor], Example],
    size: int,
    index: tf.Tensor,
    *,
    augmentation: DetectionAugmentation,
    preprocessing: Preprocessing,
    seed: tf.Tensor,
) -> tuple[Example, tf.Tensor]:
    """Read one training picture, place and change it, and maybe join it with others.

    Args:
        read: Of a `DetectionSplit`.
        size: Number of pictures in the split, from which mosaic and mixup draw.
        index: int64 [], which picture.
        augmentation: What to do.
        preprocessing: Target size, fit, interpolation, and the mean colour of what no picture covers. With the default
            augmentation the result is `preprocessing.resize(image)` and its boxes.
        seed: int32 or int64 [2]; the same seed gives the same result.

    Returns:
        `{"image": float32 [H, W, 3] in [0, 255], "boxes": float32 [n, 4], "classes": int32 [n]}`, boxes in relative
        yxyx, cut at the border; and the number of objects that were dropped because too little of them remained,
        int32 [].
    """
    seeds = tf.unstack(tf.random.split(seed, 6))
    context = _Context(read, size, augmentation, preprocessing)
    placed = context.maybe_mosaic(index, seeds[0])
    if augmentation.mixup:
        placed = tf.cond(chance(augmentation.mixup, seeds[1]), lambda: context.mixed(placed, seeds[2]), lambda: placed)
    if augmentation.flip:
        placed = tf.cond(chance(0.5, seeds[3]), lambda: _flipped(placed), lambda: placed)
    if augmentation.color_jitter:
        placed = placed | {"image": color_jitter(placed["image"], augmentation.color_jitter, seeds[4])}
    return {key: placed[key] for key in ("image", "boxes", "classes")}, placed["dropped"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Context:
    """How pictures are read and placed: what all the functions below share."""

    read: Callable[[tf.Tensor], Example]
    size: int
    augmentation: DetectionAugmentation
    preprocessing: Preprocessing

    def maybe_mosaic(self, index: tf.Tensor, seed: tf.Tensor) -> Example:
        choice_seed, place_seed = tf.unstack(tf.random.split(seed))
        if not self.augmentation.mosaic:
            return self.single(index, place_seed)
        return tf.cond(
            chance(self.augmentation.mosaic, choice_seed),
            lambda: self.mosaic(index, place_seed),
            lambda: self.single(index, place_seed),
        )

    def single(self, index: tf.Tensor, seed: tf.Tensor) -> Example:
        """One picture, placed as the augmentation says."""
        record = self.read(index)
        scale, corner = self.placement(tf.shape(record["image"])[:2], seed)
        whole = tf.zeros([2]), tf.constant(self.preprocessing.image_size, tf.float32)
        return self.place(record, scale, corner, *whole)

    def placement(self, image_size: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scale and corner for `resample`, float32 [2] each."""
        target = self.preprocessing.image_size
        if self.augmentation.random_resized_crop:
            return random_resized_window(image_size, self.augmentation.random_resized_crop, target, seed)
        if self.augmentation.scale_jitter:
            scale_seed, corner_seed = tf.unstack(tf.random.split(seed))
            factor = tf.random.stateless_uniform([], scale_seed, *self.augmentation.scale_jitter)
            scale = factor * _whole_picture_scale(image_size, target)
            free = scale * tf.cast(image_size, tf.float32) - tf.constant(target, tf.float32)  # negative: bars
            return tf.stack([scale, scale]), free * tf.random.stateless_uniform([2], corner_seed)
        resized, corner = self.preprocessing.placement(image_size)
        return resized / tf.cast(image_size, tf.float32), corner

    def place(self, record: Example, scale: tf.Tensor, corner: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> Example:
        """Show a picture between start and end, pixels of the input; the rest gets the mean colour."""
        target = self.preprocessing.image_size
        resized = scale * tf.cast(tf.shape(record["image"])[:2], tf.float32)
        window = resample(record["image"], scale, corner, target, self.preprocessing.interpolation)
        image = self.preprocessing.fill(window, tf.maximum(start, -corner), tf.minimum(end, resized - corner))
        boxes = record["boxes"] * _twice(resized) - _twice(corner)  # in pixels
        seen = tf.clip_by_value(boxes, _twice(start), _twice(end))
        sides = seen[:, 2:] - seen[:, :2]
        enough = box_areas(seen) >= self.augmentation.min_visibility * box_areas(boxes)
        kept = enough & tf.reduce_all(sides >= LEAST_SIDE, axis=1)
        return {
            "image": image,
            "boxes": clip_boxes(tf.boolean_mask(seen, kept) / _twice(tf.constant(target, tf.float32))),
            "classes": tf.boolean_mask(record["classes"], kept),
            "dropped": tf.reduce_sum(tf.cast(~kept, tf.int32)),
        }

    def mosaic(self, index: tf.Tensor, seed: tf.Tensor) -> Example:
        """The picture and three others, whose inner corners meet in the centre."""
        centre_seed, other_seed, scale_seed = tf.unstack(tf.random.split(seed, 3))
        target = tf.constant(self.preprocessing.image_size, tf.float32)
        centre = tf.round(tf.random.stateless_uniform([2], centre_seed, *MOSAIC_CENTRES) * target)
        others = tf.random.stateless_uniform([3], other_seed, 0, self.size, tf.int64)
        factors = tf.random.stateless_uniform([4], scale_seed, *MOSAIC_SCALES)
        tiles = []
        for i, (below, right) in enumerate([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]):
            record = self.read(others[i - 1] if i else index)
            size = tf.shape(record["image"])[:2]
            scale = factors[i] * _whole_picture_scale(size, self.preprocessing.image_size)
            quadrant = tf.constant([below, right])
            corner = (1 - quadrant) * scale * tf.cast(size, tf.float32) - centre
            start, end = quadrant * centre, tf.where(quadrant > 0, target, centre)
            tiles.append(self.place(record, tf.stack([scale, scale]), corner, start, end))
        rows, columns = (tf.range(side, dtype=tf.float32)[:, tf.newaxis] for side in self.preprocessing.image_size)
        left = tf.transpose(columns < centre[1])[..., tf.newaxis]  # [1, W, 1]
        top, bottom = (tf.where(left, tiles[i]["image"], tiles[i + 1]["image"]) for i in (0, 2))
        return _joined(tf.where((rows < centre[0])[..., tf.newaxis], top, bottom), tiles)

    def mixed(self, placed: Example, seed: tf.Tensor) -> Example:
        """The placed picture and another one, blended; all objects of both."""
        other_seed, place_seed, ratio_seed = tf.unstack(tf.random.split(seed, 3))
        other = self.single(tf.random.stateless_uniform([], other_seed, 0, self.size, tf.int64), place_seed)
        draws = tf.random.stateless_gamma([2], ratio_seed, alpha=MIXUP_ALPHA)
        ratio = draws[0] / tf.reduce_sum(draws)
        return _joined(ratio * placed["image"] + (1 - ratio) * other["image"], [placed, other])


def _joined(image: tf.Tensor, parts: list[Example]) -> Example:
    return {
        "image": image,
        "boxes": tf.concat([part["boxes"] for part in parts], axis=0),
        "classes": tf.concat([part["classes"] for part in parts], axis=0),
        "dropped": tf.add_n([part["dropped"] for part in parts]),
    }


def _flipped(placed: Example) -> Example:
    top, left, bottom, right = tf.unstack(placed["boxes"], axis=-1)
    boxes = tf.stack([top, 1 - right, bottom, 1 - left], axis=-1)
    return placed | {"image": placed["image"][:, ::-1], "boxes": boxes}


def _whole_picture_scale(image_size: tf.Tensor, target: tuple[int, int]) -> tf.Tensor:
    """The factor with which the whole picture just fits into the target: float32 []."""
    return tf.reduce_min(tf.constant(target, tf.float32) / tf.cast(image_size, tf.float32))


def _twice(pair: tf.Tensor) -> tf.Tensor:
    """(y, x) as (y, x, y, x)."""
    return tf.concat([pair, pair], axis=-1)


def _is_pair(value) -> bool:
    return isinstance(value, tuple) and len(value) == 2
