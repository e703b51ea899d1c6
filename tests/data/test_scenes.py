import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data import scenes
from mixer_tf.data.digits import split_digits
from mixer_tf.data.scenes import draw_scene, open_scenes


@pytest.fixture(scope="module")
def source():
    return open_scenes(train_size=44, eval_size=7, image_size=96)


def drawn(count, side=96):
    (grey, labels), _ = split_digits("test")
    return [draw_scene(np.random.default_rng([5, i]), grey, labels, side) for i in range(count)]


def test_splits_have_their_sizes_and_classes(source):
    assert source.class_names == tuple("0123456789")
    assert (source.train.size, source.evaluation.size) == (44, 7)
    assert not source.dropped
    assert source.category_ids is None
    assert set(source.train.counts) == set(range(7))
    assert set(np.concatenate([source.train.truth(i)["classes"] for i in range(44)])) == set(range(10))


def test_a_scene_is_read_with_the_objects_of_its_truth(source):
    dataset = tf.data.Dataset.range(source.train.size).map(source.train.read)
    assert dataset.element_spec["image"] == tf.TensorSpec([96, 96, 3], tf.uint8)
    assert dataset.element_spec["boxes"] == tf.TensorSpec([None, 4], tf.float32)
    assert dataset.element_spec["classes"] == tf.TensorSpec([None], tf.int32)
    for i, scene in enumerate(dataset.as_numpy_iterator()):
        truth = source.train.truth(i)
        np.testing.assert_array_equal(scene["boxes"], truth["boxes"])
        np.testing.assert_array_equal(scene["classes"], truth["classes"])
        assert (truth["image_id"], truth["height"], truth["width"]) == (i, 96, 96)
        assert not truth["crowd"].any()
        assert not truth["difficult"].any()
        pixels = truth["boxes"] * 96
        np.testing.assert_allclose(truth["areas"], np.prod(pixels[:, 2:] - pixels[:, :2], axis=1), rtol=1e-5)


def test_scenes_are_the_same_every_time_and_differ(source):
    again = open_scenes(train_size=3, eval_size=2, image_size=96)
    images = [source.train.read(i)["image"].numpy() for i in range(44)]
    for i in range(3):
        np.testing.assert_array_equal(again.train.read(i)["image"], images[i])
    assert len({image.tobytes() for image in images}) == 44
    assert not np.array_equal(source.evaluation.read(0)["image"], images[0])


def pure(monkeypatch, colors):
    """Digits alone, on black, in these colours one after the other."""
    order = []
    monkeypatch.setattr(scenes, "_ground", lambda rng, side: order.clear() or np.zeros([side, side, 3]))
    monkeypatch.setattr(scenes, "_draw_clutter", lambda scene, rng: None)
    monkeypatch.setattr(scenes, "_color_against", lambda rng, ground: order.append(0) or colors[len(order) - 1])


def extent(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


def test_boxes_are_tight_around_the_ink(monkeypatch):
    pure(monkeypatch, [np.full(3, 255.0)] * 6)
    monkeypatch.setattr(scenes, "MAX_OVERLAP", 0)
    checked = 0
    for image, boxes, classes in drawn(25):
        assert len(boxes) == len(classes)
        ink = image[..., 0] >= 100  # half covered, and at most 27 of noise
        outside = ink.copy()
        for top, left, bottom, right in boxes:
            seen = extent(ink[top:bottom, left:right])
            np.testing.assert_array_equal(seen, [0, 0, bottom - top, right - left])
            outside[top:bottom, left:right] = False
            checked += 1
        assert not outside.any()
    assert checked > 50


def test_boxes_of_covered_digits_are_tight_around_what_is_still_seen(monkeypatch):
    pure(monkeypatch, [np.eye(3)[i] * 255.0 for i in range(3)])
    monkeypatch.setattr(scenes, "MAX_OBJECTS", 3)
    monkeypatch.setattr(scenes, "MAX_OVERLAP", 0.6)
    covered = 0
    for image, boxes, _ in drawn(90, side=96):
        owner = np.where(image.max(axis=-1) >= 100, image.argmax(axis=-1), -1)
        for i, box in enumerate(boxes):
            inner, outer = extent(owner == i), extent(image[..., i] >= 36)  # alone, or a quarter of it through another
            assert np.all(np.subtract(box, inner) * [1, 1, -1, -1] <= 2)  # at edges two colours are equally strong
            assert np.all(np.subtract(box, outer) * [1, 1, -1, -1] >= 0)
            others = [other for j, other in enumerate(boxes) if j > i]
            covered += any((np.maximum(box[:2], o[:2]) < np.minimum(box[2:], o[2:])).all() for o in others)
    assert covered > 8


def test_digits_have_the_announced_heights_and_stay_inside():
    for side in (64, 96):
        boxes = np.concatenate([boxes for _, boxes, _ in drawn(60, side)])
        heights = (boxes[:, 2] - boxes[:, 0]) * 96 / side
        assert boxes.min() >= 0
        assert boxes.max() <= side
        assert heights.max() <= 52
        assert np.quantile(heights, 0.05) > 20
        assert np.quantile(heights, 0.9) > 40


def test_few_pixels_are_shared_and_every_digit_stays_visible():
    for _, boxes, _ in drawn(40):
        for i, box in enumerate(boxes):
            for other in boxes[:i]:
                common = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0).prod()
                smaller = min((box[2:] - box[:2]).prod(), (other[2:] - other[:2]).prod())
                assert common <= 0.5 * smaller  # 0.2 of the whole digits; their visible part may be smaller


def test_held_out_scenes_show_held_out_digits(monkeypatch):
    seen = []
    monkeypatch.setattr(scenes, "draw_scene", lambda rng, grey, labels, side: seen.append(grey) or drawn(1, side)[0])
    open_scenes(train_size=1, eval_size=1, image_size=64)
    train, held_out = ({digit.tobytes() for digit in grey} for grey in seen)
    assert (len(seen[0]), len(seen[1])) == (1437, 360)
    assert not train & held_out


def test_too_small_a_scene_is_refused():
    with pytest.raises(ValueError, match="image_size of scenes must be 32 or more; given: 20"):
        open_scenes(image_size=20)
