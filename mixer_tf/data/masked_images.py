"""Pictures with hidden units, and what stood there: batches for `mixer_tf.masked_image_model`.

As in `pipeline`, what batch k holds, masks included, follows from (seed, k) alone.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from mixer_tf.checks import require, require_rate
from mixer_tf.data.augment import Augmentation, augment_pixels, normalize_and_erase
from mixer_tf.data.masking import MASKED, NOT_SCORED, RANDOM, draw_kinds
from mixer_tf.data.pipeline import eval_batches, finished, map_in_order, train_batches
from mixer_tf.data.preprocess import Preprocessing, normalize
from mixer_tf.data.splits import Split

Batch = dict[str, tf.Tensor]

VARIANCE_EPSILON = 1e-6  # of a patch whose pixels lie in [0, 1], as in MAE (arXiv 2111.06377)


def train_masked_images(
    split: Split,
    *,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    patch_size: int,
    unit: int,
    target: str = "colors",
    rate: float = 0.5,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches, in the order of `pipeline.train_dataset`.

    Each unit is selected with probability `rate`, on its own. Of the selected, 80 % are to be covered by the model's
    tile, 10 % show the same unit of another picture of this worker's share of the batch, each of another one as far as
    there are so many, and 10 % are left as they are; in a share of one picture the replaced are covered, too.

    Args:
        split: What to read; its labels are not used.
        preprocessing: Target size and normalisation.
        augmentation: What to change at random. Labels are those of the cropped, mirrored and otherwise changed
            picture, but random erasing hides what is still to be predicted. No mixup and no CutMix.
        patch_size: Side in pixels of the patches to predict, t.
        unit: Side in pixels of what is selected as one, U: `mixer_tf.heads.masked_image.unit_of`.
        target: `"colors"` or `"pixels"`, as in the model.
        rate: Of selection, 0 < rate <= 1.
        batch_size: The global batch, b.
        seed: Of order, augmentation and masks.
        start_step: Number of batches that were already taken in an earlier part of the run.
        worker: Which share of the batches to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        An infinite dataset of dicts: `image` float32 [b / n, H, W, 3], normalised; `masked_units` int32
        [b / n, H / U, W / U], 1 where the tile belongs; `labels`, int32 [b / n, h, w] of `color_classes` or float32
        [b / n, h, w, 3 t t] of `normalized_patches`; `kinds` int32 [b / n, h, w] of each patch, as in `masking`.

    Raises:
        ValueError: If batch_size exceeds the split or is no multiple of the workers, the picture does not consist of
            units or a unit of patches, or a value is out of its range.

    Example:
        >>> from mixer_tf.data.sources import open_images
        >>> source = open_images("digits")
        >>> batches = train_masked_images(source.train, preprocessing=Preprocessing((32, 48)),
        ...                               augmentation=Augmentation(), patch_size=4, unit=8, batch_size=64, seed=0)
        >>> batch = next(iter(batches))
        >>> batch["masked_units"].shape, batch["labels"].shape
        (TensorShape([64, 4, 6]), TensorShape([64, 8, 12]))
    """
    mixed = [name for name in ("mixup", "cutmix") if getattr(augmentation, name)]
    require(not mixed, f"{' and '.join(mixed)} mix labels, which masked images do not have; set to 0")
    task = _Task(preprocessing, patch_size, unit, target, rate)

    def example(index: tf.Tensor, seed: tf.Tensor) -> Batch:
        options = {"augmentation": augmentation, "preprocessing": preprocessing, "seed": seed}
        pixels = augment_pixels(split.read(index)["image"], **options)
        return task.example(pixels, normalize_and_erase(pixels, **options), tf.random.fold_in(seed, 1))

    batches = train_batches(
        split,
        example,
        batch_size=batch_size,
        seed=seed,
        start_step=start_step,
        worker=worker,
        num_workers=num_workers,
    )
    return finished(map_in_order(batches, task.batch))


def eval_masked_images(
    split: Split,
    *,
    preprocessing: Preprocessing,
    patch_size: int,
    unit: int,
    target: str = "colors",
    rate: float = 0.5,
    batch_size: int,
    seed: int,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the batches of one evaluation: every picture once, in order; the last batch may be smaller.

    What is selected in a picture follows from the seed and its place in the split: it is the same in every
    evaluation, whatever the batch size.

    Args:
        split: What to read; its labels are not used.
        preprocessing: Target size and normalisation.
        patch_size: Side in pixels of the patches to predict, t.
        unit: Side in pixels of what is selected as one, U.
        target: `"colors"` or `"pixels"`.
        rate: Of selection, 0 < rate <= 1.
        batch_size: The global batch, b.
        seed: Of the masks.
        worker: Which share of each batch to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        A dataset of dicts as of `train_masked_images`.

    Raises:
        ValueError: As for `train_masked_images`.
    """
    task = _Task(preprocessing, patch_size, unit, target, rate)

    def example(index: tf.Tensor) -> Batch:
        pixels = preprocessing.resize(split.read(index)["image"])
        image = normalize(pixels, preprocessing.mean, preprocessing.std)
        return task.example(pixels, image, tf.random.fold_in(tf.constant([seed, 1], tf.int64), index))

    batches = eval_batches(split, example, batch_size=batch_size, worker=worker, num_workers=num_workers)
    return finished(map_in_order(batches, task.batch))


def to_fit(batch: Batch) -> tuple[Batch, tf.Tensor, tf.Tensor]:
    """A batch as Keras's `fit` takes it: inputs, labels, and weights float32 [b, h, w], 1 for each selected patch."""
    inputs = {name: batch[name] for name in ("image", "masked_units")}
    return inputs, batch["labels"], tf.cast(batch["kinds"] != NOT_SCORED, tf.float32)


def color_classes(pixels: tf.Tensor, patch_size: int) -> tf.Tensor:
    """The mean colour of each patch in 3 bits a channel, as one class (ViT, arXiv 2010.11929, appendix B.1.2).

    Args:
        pixels: float32 [..., H, W, 3] in [0, 255].
        patch_size: side t of a patch; it divides H and W.

    Returns:
        int32 [..., H / t, W / t], `64 r + 8 g + b` with r, g and b in 0..7: 0..511.
    """
    patches = _patches(pixels, patch_size)  # [..., h, w, t * t, 3]
    # Sums and whole numbers: TensorFlow may make a division a product, which rounds to the other side of a border.
    bits = tf.cast(tf.reduce_sum(patches, axis=-2), tf.int32) // (32 * patch_size**2)
    return tf.reduce_sum(tf.minimum(bits, 7) * [64, 8, 1], axis=-1)


def normalized_patches(pixels: tf.Tensor, patch_size: int) -> tf.Tensor:
    """The pixels of each patch, shifted and scaled to mean 0 and variance 1 (MAE, arXiv 2111.06377, section 4.1).

    Args:
        pixels: float32 [..., H, W, 3] in [0, 255].
        patch_size: side t of a patch; it divides H and W.

    Returns:
        float32 [..., H / t, W / t, 3 t t], row by row, the channels of a pixel side by side.
    """
    patches = _patches(pixels / 255.0, patch_size)
    patches = tf.reshape(patches, [*patches.shape[:-2], 3 * patch_size**2])
    mean, variance = tf.nn.moments(patches, axes=[-1], keepdims=True)
    return (patches - mean) * tf.math.rsqrt(variance + VARIANCE_EPSILON)


_LABELS = {"colors": color_classes, "pixels": normalized_patches}


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is hidden in a picture and asked of it."""

    preprocessing: Preprocessing
    patch_size: int
    unit: int
    target: str
    rate: float

    def __post_init__(self):
        size, unit = self.preprocessing.image_size, self.unit
        require(self.target in _LABELS, f"target must be one of {', '.join(_LABELS)}; given: {self.target!r}")
        require_rate("rate", self.rate)
        require(
            self.patch_size > 0 and unit > 0 and unit % self.patch_size == 0,
            f"unit must be a multiple of patch_size; given: {unit} and {self.patch_size}; see masked_image.unit_of",
        )
        nearest = tuple(max(1, round(side / unit)) * unit for side in size)
        require(nearest == size, f"image_size must be divisible by unit {unit}; given: {size}; nearest: {nearest}")

    def example(self, pixels: tf.Tensor, image: tf.Tensor, seed: tf.Tensor) -> Batch:
        """Of one picture: its pixels in [0, 255] and as the model gets them, [H, W, 3]."""
        height, width = self.preprocessing.image_size
        kinds = draw_kinds([height // self.unit, width // self.unit], seed, self.rate)
        first_other = tf.random.stateless_uniform([], tf.random.fold_in(seed, 1), 0, 2**30, tf.int32)
        labels = _LABELS[self.target](pixels, self.patch_size)
        return {"image": image, "kinds": kinds, "labels": labels, "first_other": first_other}

    def batch(self, examples: Batch) -> Batch:
        """Put units of other pictures in, and spread the kinds of units over their patches."""
        kinds = examples["kinds"]
        alone = tf.shape(kinds)[0] == 1
        kinds = tf.where(alone & (kinds == RANDOM), MASKED, kinds)  # there is no other picture to take a unit of
        return {
            "image": _replaced(examples["image"], kinds == RANDOM, examples["first_other"], self.unit),
            "masked_units": tf.cast(kinds == MASKED, tf.int32),
            "labels": examples["labels"],
            "kinds": _spread(kinds, self.unit // self.patch_size),
        }


def _replaced(image: tf.Tensor, units: tf.Tensor, first_other: tf.Tensor, size: int) -> tf.Tensor:
    """Pictures [b, H, W, 3] whose chosen units, bool [b, h, w], are those of other pictures.

    Each place of a picture has its own other one, in turn from `first_other` on, int32 [b]: units of the same would go
    on beside each other, and so tell that they were put in. The best possible loss takes them as independent.
    """
    height, width = image.shape[1:3]
    pieces = tf.reshape(image, [-1, height, width // size, size, 3])  # of rows of pixels
    places = tf.where(tf.repeat(units, size, axis=1))  # [n, 3]
    picture, row, column = tf.unstack(places, axis=1)
    count = tf.shape(image, out_type=tf.int64)[0]
    turn = tf.gather(tf.cast(first_other, tf.int64), picture) + row // size * (width // size) + column
    other = (picture - 1 - turn % tf.maximum(count - 1, 1)) % count
    shown = tf.gather_nd(pieces, tf.stack([other, row, column], axis=1))
    return tf.reshape(tf.tensor_scatter_nd_update(pieces, places, shown), tf.shape(image))


def _patches(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """[..., H, W, 3] -> [..., H / size, W / size, size * size, 3]."""
    height, width = pixels.shape[-3:-1]
    rows, columns = height // size, width // size
    x = tf.reshape(pixels, [-1, rows, size, columns, size, 3])
    x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
    return tf.reshape(x, tf.concat([tf.shape(pixels)[:-3], [rows, columns, size**2, 3]], axis=0))


def _spread(units: tf.Tensor, size: int) -> tf.Tensor:
    """[b, h, w] -> [b, h * size, w * size], each entry over a square."""
    return tf.repeat(tf.repeat(units, size, axis=1), size, axis=2)
