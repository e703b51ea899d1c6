import numpy as np
import pytest

from mixer_tf.analysis.detection_pictures import draw_detections

ORANGE = np.array([255, 127, 14])  # of class 1
BOX = np.array([[0.25, 0.3, 0.75, 0.5]])


def drawn(image, boxes=BOX, classes=(1,), scores=(0.75,), names=("cat", "dog")):
    return draw_detections(image, np.array(boxes), np.array(classes), np.array(scores), names)


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def is_orange(picture):
    return np.abs(picture.astype(int) - ORANGE).max(axis=-1) < 30


def test_lines_of_a_box_are_where_it_lies():
    lines = is_orange(drawn(black(500, 800)))
    rows, columns = np.flatnonzero(lines[:, 300]), np.flatnonzero(lines[300])
    assert np.abs(rows - np.where(rows < 250, 125, 375)).max() < 30  # the name stands above the upper one
    assert (rows.max(), columns.min(), columns.max()) == pytest.approx((375, 240, 400), abs=3)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 700), (480, 700)), ((600, 481), (600, 481)), ((479, 500), (958, 1000)), ((29, 57), (493, 969))],
)
def test_small_pictures_become_a_whole_number_of_times_larger(size, expected):
    picture = drawn(np.full((*size, 3), 90, np.uint8), boxes=np.zeros((0, 4)), classes=(), scores=())
    assert (picture.shape, picture.dtype) == ((*expected, 3), np.uint8)
    assert (picture == 90).all()


def test_pixels_stay_where_they_are():
    image = np.random.default_rng(0).integers(256, size=(7, 11, 3)).astype(np.uint8)
    picture = drawn(image, boxes=np.zeros((0, 4)), classes=(), scores=())
    np.testing.assert_array_equal(picture[34::69, 34::69], image)


def test_surest_lies_on_top():
    picture = drawn(black(500, 800), boxes=[*BOX, *BOX], classes=(1, 0), scores=(0.9, 0.4))
    assert is_orange(picture)[375 - 1 : 375 + 1, 300].any()


def test_names_at_the_edges_are_seen_and_dollars_are_no_formula():
    corners = [[0, 0, 0.2, 0.1], [0, 0.9, 0.2, 1], [0.9, 0.9, 1, 1], [-0.5, -0.5, 1.5, 1.5]]
    picture = drawn(black(500, 800), corners, (1, 1, 1, 1), (0.9, 0.8, 0.7, 0.6), ("cat", "$5 & a_b^c$"))
    labels = is_orange(picture)
    assert min(labels[:25, :100].mean(), labels[:25, -100:].mean(), labels[420:450, -110:].mean()) > 0.3


def test_wrong_values():
    with pytest.raises(ValueError, match=r"image must be uint8 \[h, w, 3\]; given: float64 \[4, 5, 3\]"):
        drawn(np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="must be as many; given: 1, 2 and 1"):
        drawn(black(4, 5), classes=(1, 0))
