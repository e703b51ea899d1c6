import itertools

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.boxes import FORMATS, box_areas, clip_boxes, convert_boxes

# One box in a picture of 50 rows and 200 columns: from row 10 to 30, from column 20 to 120.
SIZE = (50, 200)
SAME = {
    "xyxy": [20, 10, 120, 30],
    "yxyx": [10, 20, 30, 120],
    "xywh": [20, 10, 100, 20],
    "center_xywh": [70, 20, 100, 20],
    "rel_xyxy": [0.1, 0.2, 0.6, 0.6],
    "rel_yxyx": [0.2, 0.1, 0.6, 0.6],
    "rel_xywh": [0.1, 0.2, 0.5, 0.4],
    "rel_center_xywh": [0.35, 0.4, 0.5, 0.4],
}


@pytest.mark.parametrize(("source", "target"), itertools.product(FORMATS, FORMATS))
def test_every_format_becomes_every_other(source, target):
    converted = convert_boxes(np.array([SAME[source], SAME[source]]), source, target, SIZE)
    np.testing.assert_allclose(converted, [SAME[target]] * 2, rtol=1e-6)


def test_no_boxes_and_batches_of_boxes():
    assert convert_boxes(np.zeros([0, 4]), "xywh", "rel_yxyx", SIZE).shape == (0, 4)
    batch = np.broadcast_to(SAME["xywh"], [2, 3, 4])
    np.testing.assert_allclose(convert_boxes(batch, "xywh", "yxyx"), np.broadcast_to(SAME["yxyx"], [2, 3, 4]))


def test_in_a_pipeline():
    boxes = tf.data.Dataset.from_tensor_slices(np.array([[SAME["xyxy"]]], np.float32))
    converted = next(iter(boxes.map(lambda box: convert_boxes(box, "xyxy", "rel_xywh", SIZE))))
    np.testing.assert_allclose(converted, [SAME["rel_xywh"]], rtol=1e-6)


def test_unknown_format_and_missing_size_are_named():
    with pytest.raises(ValueError, match="given: 'xyhw'"):
        convert_boxes([[0, 0, 1, 1]], "xyhw", "xyxy")
    with pytest.raises(ValueError, match="image_size must be given to convert rel_xyxy to xywh"):
        convert_boxes([[0, 0, 1, 1]], "rel_xyxy", "xywh")


def test_clipping_keeps_what_is_inside():
    clipped = clip_boxes(tf.constant([[-0.5, 0.25, 0.5, 1.5], [0.25, 1.25, 0.75, 1.5]]))
    np.testing.assert_array_equal(clipped, [[0, 0.25, 0.5, 1], [0.25, 1, 0.75, 1]])
    np.testing.assert_array_equal(box_areas(clipped), [0.375, 0])
