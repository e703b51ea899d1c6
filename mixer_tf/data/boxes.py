"""Boxes. Inside the package there is one format: `rel_yxyx`, (top, left, bottom, right) as fractions of the picture."""

from __future__ import annotations

import keras
from keras import ops

from mixer_tf.checks import require

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def convert_boxes(boxes, source: str, target: str, image_size: tuple | None = None):
    """Write boxes in another format, without clipping them.

    x runs to the right and y down, from the top left corner of the picture; a box ends where its last pixel ends, so
    the width is right - left. `xywh` has the left and the top first, `center_xywh` the middle.

    Args:
        boxes: [..., 4], array or tensor; n = 0 boxes will do.
        source: The format they have: `xyxy`, `yxyx`, `xywh` or `center_xywh` in pixels, or one of these as fractions
            of the picture, `rel_xyxy` and so on.
        target: The format they shall have.
        image_size: (height, width) of the picture in pixels; needed between pixels and fractions.

    Returns:
        float32 [..., 4], a tensor.

    Raises:
        ValueError: If a format is unknown or the size is needed but missing.

    Example:
        >>> convert_boxes([[10, 20, 30, 60]], "xywh", "rel_yxyx", image_size=(160, 80)).numpy().tolist()
        [[0.125, 0.125, 0.5, 0.5]]
    """
    for name in (source, target):
        require(name in FORMATS, f"a format of boxes must be one of {', '.join(FORMATS)}; given: {name!r}; pick one")
    require(
        image_size is not None or source.startswith("rel_") == target.startswith("rel_"),
        f"image_size must be given to convert {source} to {target}; given: None; give (height, width) in pixels",
    )
    height, width = image_size or (None, None)
    return keras.utils.bounding_boxes.convert_format(boxes, source, target, height=height, width=width)


def clip_boxes(boxes):
    """Cut relative boxes [..., 4] at the border of the picture; what lies outside ends with an area of 0."""
    return ops.clip(boxes, 0.0, 1.0)


def box_areas(boxes):
    """The areas [...] of boxes [..., 4] in xyxy or yxyx, pixels or relative; a box turned inside out has 0.

    Example:
        >>> box_areas(ops.array([[0.0, 0.25, 1.0, 0.75], [0.5, 0.5, 0.25, 1.0]])).numpy().tolist()
        [0.5, 0.0]
    """
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]
