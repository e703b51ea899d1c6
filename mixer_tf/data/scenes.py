"""Generated scenes: handwritten digits of all sizes and colours among lines and shapes, to find and to name.

The digits are scikit-learn's, so nothing is downloaded; the held-out scenes show held-out digits. Scene i of a split
follows from (split, i) alone.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require
from mixer_tf.data.detection_splits import DetectionSource, DetectionSplit, annotated_split, make_truth
from mixer_tf.data.digits import CLASS_NAMES, split_digits

TRAIN_SIZE, EVAL_SIZE = 2048, 256
IMAGE_SIZE = 96
MAX_OBJECTS = 6
HEIGHTS = (24, 52)  # of a digit, in pixels of a scene of 96
MAX_OVERLAP = 0.2  # of two digits' boxes, as a part of the smaller one
_TRIES = 10  # to find a place for a digit; without one the scene has a digit fewer
_CONTRAST = 150  # least distance of a digit's colour from the ground's mean colour, of at most 442
_INK = 0.5  # from this coverage on a pixel belongs to a digit


def open_scenes(
    train_size: int = TRAIN_SIZE, eval_size: int = EVAL_SIZE, image_size: int = IMAGE_SIZE
) -> DetectionSource:
    """Draw the scenes, about 4 ms each, and hold them in memory.

    Args:
        train_size: Number of scenes to train on.
        eval_size: Number of held-out scenes.
        image_size: Side in pixels, 32 or more; the digits grow with it.

    Returns:
        The source, ten classes.

    Raises:
        ValueError: If scikit-learn is missing or image_size is too small.

    Example:
        >>> source = open_scenes(train_size=30, eval_size=10, image_size=64)
        >>> truth = source.evaluation.truth(0)
        >>> truth["boxes"].shape[1], truth["boxes"].dtype, int(truth["height"])
        (4, dtype('float32'), 64)
    """
    require(image_size >= 32, f"image_size of scenes must be 32 or more; given: {image_size}; digits need pixels")
    train, held_out = split_digits("data=scenes")
    return DetectionSource(
        "scenes",
        CLASS_NAMES,
        _split("train", 0, train_size, image_size, *train),
        _split("test", 1, eval_size, image_size, *held_out),
    )


def _split(name: str, seed: int, size: int, side: int, grey: np.ndarray, labels: np.ndarray) -> DetectionSplit:
    images = np.empty([size, side, side, 3], np.uint8)
    truths = []
    for i in range(size):
        images[i], boxes, classes = draw_scene(np.random.default_rng([seed, i]), grey, labels, side)
        truths.append(make_truth(image_id=i, size=(side, side), boxes=boxes, classes=classes, dropped=Counter()))
    with tf.device("CPU"):
        held = tf.constant(images)
    return annotated_split(name, truths, lambda index: held[index])


def draw_scene(
    rng: np.random.Generator, grey: np.ndarray, labels: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one scene of 0 to 6 digits.

    Args:
        rng: Where chance comes from.
        grey: uint8 [m, 8, 8], digits to choose from.
        labels: int32 [m].
        side: Of the scene in pixels.

    Returns:
        The picture, uint8 [side, side, 3], the boxes around the visible ink, yxyx in pixels, int64 [n, 4], and their
        classes, int32 [n].
    """
    scene = _ground(rng, side)
    for _ in range(rng.integers(0, 5)):
        _draw_clutter(scene, rng)
    owner = np.full([side, side], -1)  # which digit's ink is seen in each pixel
    places: list[np.ndarray] = []
    classes: list[int] = []
    for _ in range(rng.integers(0, MAX_OBJECTS + 1)):
        digit = rng.integers(len(labels))
        height = np.exp(rng.uniform(*np.log(HEIGHTS))) * side / IMAGE_SIZE
        ink = _inked(grey[digit], height, stretch=rng.uniform(0.8, 1.25))
        if (place := _free_place(rng, ink.shape, places, side)) is None:
            continue
        top, left, bottom, right = place
        window = scene[top:bottom, left:right]
        color = _color_against(rng, window.mean(axis=(0, 1)))
        window += ink[..., np.newaxis] * (color - window)
        owner[top:bottom, left:right][ink >= _INK] = len(places)
        places.append(place)
        classes.append(int(labels[digit]))
    scene += rng.uniform(0, 8) * rng.standard_normal(scene.shape, np.float32)
    seen = [i for i in range(len(places)) if (owner == i).any()]  # several small overlaps might hide a digit
    boxes = np.reshape([_extent(owner == i) for i in seen], [-1, 4])
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8), boxes, np.array(classes, np.int32)[seen]


def _inked(digit: np.ndarray, height: float, stretch: float) -> np.ndarray:
    """Enlarge a digit smoothly and give it clear edges: the coverage of each pixel in 0..1, cut out tightly."""
    strokes = digit[:, digit.any(axis=0)][digit.any(axis=1)] / digit.max()
    size = int(height), max(int(height * stretch * strokes.shape[1] / strokes.shape[0]), 3)
    rows, columns = (_enlarging(old, new) for old, new in zip(strokes.shape, size, strict=True))
    ink = np.clip((rows @ strokes @ columns.T - 0.3) / 0.4, 0, 1)
    top, left, bottom, right = _extent(ink >= _INK)
    return ink[top:bottom, left:right]


def _enlarging(old: int, new: int) -> np.ndarray:
    """Bilinear weights [new, old]."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    return np.maximum(1 - np.abs(np.clip(centres, 0, old - 1)[:, np.newaxis] - np.arange(old)), 0)


def _free_place(
    rng: np.random.Generator, size: tuple[int, ...], places: list[np.ndarray], side: int
) -> np.ndarray | None:
    """A box yxyx of this size that hides little of the others, or None."""
    for _ in range(_TRIES):
        corner = rng.integers(0, side - np.array(size) + 1)
        place = np.concatenate([corner, corner + size])
        if all(_overlap(place, other) <= MAX_OVERLAP for other in places):
            return place
    return None


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    """The common area as a part of the smaller one."""
    common = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0).prod()
    return common / min((box[2:] - box[:2]).prod(), (other[2:] - other[:2]).prod())


def _extent(mask: np.ndarray) -> np.ndarray:
    """The tight box around what is True, yxyx."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def _color_against(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    while True:  # some colour is far enough from any ground
        color = rng.uniform(0, 255, 3)
        if np.linalg.norm(color - ground) >= _CONTRAST:
            return color


def _ground(rng: np.random.Generator, side: int) -> np.ndarray:
    """A plain, shaded, striped or cloudy ground, float [side, side, 3]."""
    y, x = _axes(side)
    angle = rng.uniform(0, 2 * np.pi)
    along = y * np.float32(np.sin(angle)) + x * np.float32(np.cos(angle))
    kind = rng.integers(4)
    if kind == 0:
        pattern = np.zeros_like(along)
    elif kind == 1:
        pattern = along
    elif kind == 2:
        pattern = np.sin(2 * np.pi * along * rng.uniform(2, 12))
    else:
        grain = int(rng.integers(3, 16))
        weights = _enlarging(grain, side)
        pattern = weights @ rng.uniform(-1, 1, [grain, grain]) @ weights.T
    contrast = rng.uniform(10, 40, 3) * rng.choice([-1, 1])
    return (rng.uniform(40, 215, 3) + pattern[..., np.newaxis] * contrast).astype(np.float32)


def _axes(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Y [side, 1] and x [1, side] in 0..1."""
    steps = np.arange(side, dtype=np.float32) / side
    return steps[:, np.newaxis], steps[np.newaxis]


def _draw_clutter(scene: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a line, a filled ellipse, a ring or a rectangle: things that are no digit."""
    side = len(scene)
    y, x = _axes(side)
    y, x, angle = y - np.float32(rng.uniform()), x - np.float32(rng.uniform()), rng.uniform(0, np.pi)
    sin, cos = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    along, across = y * sin + x * cos, y * cos - x * sin
    length, width = rng.uniform(0.05, 0.25, 2)
    kind = rng.integers(4)
    if kind == 0:
        shape = (np.abs(across) < rng.uniform(0.006, 0.02)) & (np.abs(along) < 2 * length)
    elif kind == 1:
        shape = (along / length) ** 2 + (across / width) ** 2 < 1
    elif kind == 2:
        shape = np.abs(np.hypot(along, across) - length) < rng.uniform(0.006, 0.02)
    else:
        shape = (np.abs(along) < length) & (np.abs(across) < width)
    scene[shape] += rng.uniform(0.2, 0.6) * (rng.uniform(0, 255, 3).astype(np.float32) - scene[shape])
