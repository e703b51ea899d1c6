"""The one evaluation preprocessing: evaluation, export and demo all call the same `Preprocessing` object.

It also maps boxes of the picture to boxes of the input and back, for detection.

TensorFlow is imported where it is used, not at the top, because the weight loader reads and stores `Preprocessing`
on Keras's other backends too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# name -> (kernel of tf.raw_ops.ScaleAndTranslate, whether it widens when it shrinks a picture, as PIL does).
_KERNELS = {
    "nearest": ("box", False),
    "area": ("box", True),
    "bilinear": ("triangle", True),
    "bicubic": ("keyscubic", True),
}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Picture in, network input out: resize, centre crop or letterbox, normalise.

    With `fit="crop"` the picture is scaled, keeping its aspect ratio, until its shorter side (in relation to the
    target) measures `floor(size / crop)` pixels; the centre of the target's size is cut out, and
    `(pixel / 255 - mean) / std` is returned. This is the meaning of torchvision's and timm's evaluation transforms.
    With `fit="letterbox"`, which detection uses, the longer side fills the target, the whole picture lies in the
    middle, and the bars beside it have the mean colour, 0 in the input. Shrinking is antialiased as in PIL.

    Args:
        image_size: Height and width of the result, in pixels.
        mean: Per channel (red, green, blue), in units of [0, 1].
        std: Per channel standard deviation, in units of [0, 1]; greater than 0.
        crop: The fraction of the resized picture's side that the centre crop keeps, 0 < crop <= 1.
        interpolation: "nearest", "bilinear", "bicubic" or "area".
        fit: "crop", or "letterbox", which needs `crop=1.0`.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> import tensorflow as tf
        >>> preprocess = Preprocessing((224, 224), crop=0.875, interpolation="bicubic")
        >>> preprocess(tf.zeros([300, 400, 3], tf.uint8)).shape
        TensorShape([224, 224, 3])
    """

    image_size: tuple[int, int]
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    crop: float = 1.0
    interpolation: str = "bilinear"
    fit: str = "crop"

    def __post_init__(self):
        for field in ("image_size", "mean", "std"):  # lists, as JSON and recipes write them, become hashable tuples
            value = getattr(self, field)
            object.__setattr__(self, field, tuple(value) if isinstance(value, list) else value)
        if not _is_tuple_of(int, 2, self.image_size) or min(self.image_size) < 1:
            raise ValueError(
                f"image_size must be two positive integers (height, width); given: {self.image_size!r}; "
                "write for example (224, 224)"
            )
        if not _is_tuple_of((int, float), 3, self.mean):
            raise ValueError(
                f"mean must be three numbers in units of [0, 1]; given: {self.mean!r}; give one per channel"
            )
        if not _is_tuple_of((int, float), 3, self.std) or min(self.std) <= 0:
            raise ValueError(f"std must be three numbers greater than 0; given: {self.std!r}; give one per channel")
        if not 0 < self.crop <= 1:
            raise ValueError(
                f"crop must be greater than 0 and at most 1; given: {self.crop!r}; 1.0 keeps the whole side"
            )
        if self.interpolation not in _KERNELS:
            raise ValueError(
                f"interpolation must be one of {', '.join(_KERNELS)}; given: {self.interpolation!r}; pick one"
            )
        if self.fit not in ("crop", "letterbox"):
            raise ValueError(f"fit must be crop or letterbox; given: {self.fit!r}; pick one")
        if self.fit == "letterbox" and self.crop != 1:
            raise ValueError(f"crop must be 1.0 with fit=letterbox, which cuts nothing off; given: {self.crop!r}")

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        """Turn one picture into one network input.

        Args:
            image: uint8 [h, w, 3] of any size, which may be unknown when the call is traced.

        Returns:
            float32 [H, W, 3].
        """
        return normalize(self.resize(image), self.mean, self.std)

    def resize(self, image: tf.Tensor) -> tf.Tensor:
        """Scale and crop one picture [h, w, 3] without normalising it: float32 [H, W, 3] in [0, 255]."""
        import tensorflow as tf

        size = tf.shape(image)[:2]
        resized, corner = self.placement(size)
        scale = resized / tf.cast(size, tf.float32)
        window = resample(image, scale, corner, self.image_size, self.interpolation)
        return window if self.fit == "crop" else self.fill(window, -corner, resized - corner)

    def fill(self, window: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Give all pixels of a window [H, W, 3] in [0, 255] the mean colour but those from start up to end.

        Args:
            window: The pixels.
            start: Row and column of the first pixel to keep, float32 [2]; may lie outside.
            end: Row and column after the last one.
        """
        import tensorflow as tf

        rows, columns = (tf.range(side, dtype=tf.float32) + 0.5 for side in self.image_size)
        in_rows, in_columns = (rows > start[0]) & (rows < end[0]), (columns > start[1]) & (columns < end[1])
        return tf.where((in_rows[:, tf.newaxis] & in_columns)[..., tf.newaxis], window, [255 * m for m in self.mean])

    def boxes_to_input(self, boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
        """Map boxes in a picture to boxes in its input, without clipping them.

        Args:
            boxes: [..., n, 4], relative yxyx of the picture; NumPy's or TensorFlow's.
            image_size: Height and width of the picture in pixels, integers [..., 2].

        Returns:
            float32 [..., n, 4], relative yxyx of the input; an array where both arguments are arrays.

        Example:
            >>> import numpy as np
            >>> letterbox = Preprocessing((100, 100), fit="letterbox")
            >>> letterbox.boxes_to_input(np.array([[0.0, 0.0, 1.0, 0.5]]), np.array([50, 100])).tolist()
            [[0.25, 0.0, 0.75, 0.5]]
        """
        return self._map_boxes(boxes, image_size, lambda box, resized, corner, side: (box * resized - corner) / side)

    def boxes_to_picture(self, boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
        """Undo `boxes_to_input`: map boxes in the input, such as predictions, to boxes in the picture.

        Args:
            boxes: [..., n, 4], relative yxyx of the input; NumPy's or TensorFlow's.
            image_size: Height and width of the picture in pixels, integers [..., 2].

        Returns:
            float32 [..., n, 4], relative yxyx of the picture, not clipped; an array where both arguments are arrays.
        """
        return self._map_boxes(boxes, image_size, lambda box, resized, corner, side: (box * side + corner) / resized)

    def _map_boxes(self, boxes, image_size, rule):
        import tensorflow as tf

        resized, corner = (tf.concat([x, x], axis=-1)[..., tf.newaxis, :] for x in self.placement(image_size))
        result = rule(tf.cast(boxes, tf.float32), resized, corner, tf.constant(2 * self.image_size, tf.float32))
        return result if tf.is_tensor(boxes) or tf.is_tensor(image_size) else result.numpy()

    def placement(self, image_size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Height and width of the scaled picture, and the window's top left corner in it: float32 [..., 2] each.

        All are whole pixels, so that a box is mapped exactly as the pixels are.
        """
        import tensorflow as tf

        size = tf.cast(image_size, tf.int64)  # int64: a side times a side may pass 2^31
        target = tf.constant(self.image_size, tf.int64)
        scaled = tf.constant([math.floor(side / self.crop) for side in self.image_size], tf.int64)
        by_height = size[..., :1] * scaled[1] <= size[..., 1:] * scaled[0]  # the height is the shorter side
        if self.fit == "letterbox":
            by_height = ~by_height
        resized = tf.where(by_height, scaled[0] * size // size[..., :1], scaled[1] * size // size[..., 1:])
        resized = tf.maximum(resized, 1)  # of a picture of 1 x 1,000 pixels something must remain
        corner = tf.round(tf.cast(resized - target, tf.float32) / 2)  # half to even, as torchvision's CenterCrop
        return tf.cast(resized, tf.float32), corner

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers, strings and lists, which JSON can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Undo `to_dict`; an unknown key is a `ValueError`."""
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(config) - set(names)):
            raise ValueError(f"a preprocessing has the keys {', '.join(names)}; given also: {unknown}; remove these")
        return cls(**config)


def normalize(image: tf.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> tf.Tensor:
    """Map float32 [..., 3] in [0, 255] to `(image / 255 - mean) / std`, with mean and std in units of [0, 1]."""
    # One product and one difference: TensorFlow rewrites divisions when it optimises a graph, and the exported model
    # would differ from this one in the last bit.
    return image * [1 / (255 * s) for s in std] - [m / s for m, s in zip(mean, std, strict=True)]


def resample(
    image: tf.Tensor, scale: tf.Tensor, corner: tf.Tensor, size: tuple[int, int], interpolation: str
) -> tf.Tensor:
    """Scale a picture and cut out a window, in one step.

    The scaled picture never exists as a whole: a picture of 1 x 100,000 pixels costs no more than any other.

    Args:
        image: uint8 or float32 [h, w, 3].
        scale: float32 [2], factors for height and width.
        corner: float32 [2], top and left of the window, in pixels of the scaled picture.
        size: Height and width of the window.
        interpolation: As in `Preprocessing`.

    Returns:
        float32 [H, W, 3] in [0, 255].
    """
    import tensorflow as tf

    kernel, antialias = _KERNELS[interpolation]
    window = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=size,
        scale=scale,
        translation=-corner,
        kernel_type=kernel,
        antialias=antialias,
    )[0]
    window.set_shape([*size, 3])
    return tf.clip_by_value(window, 0.0, 255.0)  # the bicubic kernel overshoots at edges


def _is_tuple_of(kinds, length: int, value) -> bool:
    return isinstance(value, tuple) and len(value) == length and all(isinstance(item, kinds) for item in value)
