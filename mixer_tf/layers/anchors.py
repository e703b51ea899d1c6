"""Anchors, boxes of fixed sizes at every place of a pyramid, and the boxes that are given as differences from them.

Faster R-CNN, Ren et al. 2015, arXiv 1506.01497; as keras-cv's RetinaNet has them.
"""

import keras
import numpy as np
from keras import layers, ops

NUM_ANCHORS = 9  # of a place: three sizes in three shapes
_VARIANCE = np.array([0.1, 0.1, 0.2, 0.2], "float32")  # the usual size of a difference, keras-cv's BOX_VARIANCE
_LARGEST = 8.0  # as a logarithm: 3,000 times the anchor; far beyond that float32 ends
_TINY = 1e-7  # shares of the picture; a box without area has no logarithm


def import_keras_cv():
    """The module keras_cv, which is optional.

    Raises:
        ValueError: when it cannot be imported.
    """
    try:
        import keras_cv
    except ImportError as error:
        raise ValueError(
            'a RetinaNet needs keras-cv, which cannot be imported; run: pip install "mixer-tf[detection]"'
        ) from error
    return keras_cv


@keras.saving.register_keras_serializable(package="mixer_tf")
class AnchorDecoder(layers.Layer):
    """Boxes from their differences from anchors: `[b, n, 4] -> [b, n, 8]`, in float32.

    The first four numbers of the result are the box, the last four its anchor, both y1, x1, y2, x2 as shares of the
    picture's height and width. Anchors end at the edges of the picture.

    Args:
        strides: pixels of the picture to a place, for each level.
        anchor_scale: side of a level's smallest anchor in units of its stride.
        image_size: height and width of the picture in pixels.

    Raises:
        ValueError: when keras-cv cannot be imported.
    """

    def __init__(self, strides: list[float], anchor_scale: float, image_size: tuple[int, int], **kwargs):
        super().__init__(dtype="float32", **{key: value for key, value in kwargs.items() if key != "dtype"})
        self.strides, self.anchor_scale, self.image_size = list(strides), anchor_scale, tuple(image_size)
        generator = import_keras_cv().layers.AnchorGenerator(
            bounding_box_format="yxyx",
            strides=self.strides,
            sizes=[anchor_scale * stride for stride in strides],
            scales=[2 ** (octave / 3) for octave in range(3)],
            aspect_ratios=[0.5, 1.0, 2.0],
            clip_boxes=True,
            dtype="float32",  # else it rounds them to the policy's bfloat16
        )
        levels = generator(image_shape=(*image_size, 3)).values()
        anchors = np.concatenate([ops.convert_to_numpy(level) for level in levels])
        self.anchors = anchors / np.array([*image_size, *image_size], "float32")  # [n, 4]

    def call(self, x):
        anchors = ops.broadcast_to(self.anchors, ops.shape(x))
        return ops.concatenate([decode(x, anchors), anchors], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 8)

    def get_config(self):
        names = ("strides", "anchor_scale", "image_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def decode(differences, anchors):
    """Boxes y1, x1, y2, x2 from what `encode` gives: `[..., 4], [..., 4] -> [..., 4]`."""
    centres, sizes = _centres_and_sizes(anchors)
    differences = differences * _VARIANCE
    centres = centres + differences[..., :2] * sizes
    halves = ops.exp(ops.minimum(differences[..., 2:], _LARGEST)) * sizes / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def encode(boxes, anchors):
    """How boxes y1, x1, y2, x2 differ from anchors: `[..., 4], [..., 4] -> [..., 4]`.

    The way between their centres in sides of the anchor and the logarithms of the ratios of their sides, y before x,
    each divided by its usual size.

    Example:
        >>> import numpy as np
        >>> anchor = np.array([0.0, 0.0, 0.5, 0.5])
        >>> np.round(encode(anchor + [0, 0.1, 0, 0.1], anchor), 4).tolist()
        [0.0, 2.0, 0.0, 0.0]
    """
    (centres, sizes), (origins, units) = _centres_and_sizes(boxes), _centres_and_sizes(anchors)
    sizes, units = ops.maximum(sizes, _TINY), ops.maximum(units, _TINY)
    return ops.concatenate([(centres - origins) / units, ops.log(sizes / units)], axis=-1) / _VARIANCE


def _centres_and_sizes(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
