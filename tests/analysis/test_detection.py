import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.analysis.coco import FIGURES
from mixer_tf.analysis.detection import evaluate_detections, in_originals, predict_detections
from tests.analysis.coco_cases import CASES, read

HEIGHT, WIDTH = 40, 80
LEFT, MIDDLE, RIGHT = [0, 0, 20, 20], [10, 30, 30, 50], [20, 60, 40, 80]  # yxyx, in pixels; none overlap
ELSEWHERE = [30, 0, 40, 10]


def truth(boxes, classes, image_id=1, crowd=(), difficult=()):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    numbers = np.arange(len(boxes))
    return {
        "image_id": image_id,
        "height": HEIGHT,
        "width": WIDTH,
        "boxes": (boxes / [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(np.float32),
        "classes": np.array(classes, np.int32),
        "areas": np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).astype(np.float32),
        "crowd": np.isin(numbers, crowd),
        "difficult": np.isin(numbers, difficult),
    }


def prediction(boxes, classes, scores):
    part = truth(boxes, classes)
    return {"boxes": part["boxes"], "classes": part["classes"], "scores": np.array(scores, np.float32)}


NOTHING = prediction([], [], [])


@pytest.mark.parametrize("name", CASES)
def test_figures_equal_those_of_plain_pycocotools(name):
    result = evaluate_detections(*read(name))
    stats = dict(zip(FIGURES, CASES[name]["stats"], strict=True))
    assert result.metrics == pytest.approx({key: value for key, value in stats.items() if value >= 0}, abs=1e-6)
    per_class = [math.nan if value < 0 else value for value in CASES[name]["ap_per_category"]]
    np.testing.assert_allclose(result.ap_per_class, per_class, atol=1e-6)
    assert np.nanmean(result.ap50_per_class) == pytest.approx(result.metrics["AP50"])


def test_figures_can_be_computed_by_hand():
    """Hit, false alarm, hit, and the third object is in a picture without predictions."""
    truths = [truth([LEFT, RIGHT], [0, 0], 1), truth([MIDDLE], [0], 2), truth([], [], 3)]
    predictions = [prediction([LEFT, ELSEWHERE, RIGHT], [0, 0, 0], [0.9, 0.8, 0.7]), NOTHING, NOTHING]
    result = evaluate_detections(truths, predictions, ["only"])
    ap = (34 * 1 + 33 * 2 / 3) / 101  # precision 1 up to a recall of 1/3, then 2/3 up to 2/3
    expected = {"AP": ap, "AP50": ap, "AP75": ap, "APs": ap, "AR1": 1 / 3, "AR10": 2 / 3, "AR100": 2 / 3, "ARs": 2 / 3}
    assert result.metrics == pytest.approx(expected)
    assert (result.images, result.objects_per_class.tolist()) == (3, [3])
    assert result.precisions[0] == pytest.approx([1] * 34 + [2 / 3] * 33 + [0] * 34)
    by_level = dict(zip(result.levels.round(2).tolist(), result.f1_scores[0], strict=True))
    assert [by_level[level] for level in (0.95, 0.85, 0.75, 0.6)] == pytest.approx([0, 2 / 4, 2 / 5, 4 / 6])
    assert result.best_confidence == 0.0


def test_size_that_no_object_has_is_no_figure_and_metrics_are_json():
    result = evaluate_detections(*read("no_large_object"))
    assert math.isnan(result.figures["APl"])
    assert math.isnan(result.figures["ARl"])
    assert set(result.figures) - set(result.metrics) == {"APl", "ARl"}
    assert "NaN" not in json.dumps(result.metrics)


def test_class_without_objects_has_no_curves_and_does_not_lower_the_mean():
    found = prediction([LEFT, MIDDLE], [1, 0], [0.9, 0.8])
    result = evaluate_detections([truth([LEFT], [1])], [found], ["absent", "there"])
    np.testing.assert_allclose(result.ap_per_class, [math.nan, 1.0])
    assert np.isnan(result.precisions[0]).all()
    assert np.isnan(result.f1_scores[0]).all()
    assert result.metrics["AP"] == pytest.approx(1.0)
    assert result.best_confidence == pytest.approx(0.0)


@pytest.mark.parametrize("kind", ["crowd", "difficult"])
def test_crowd_and_difficult_objects_are_neither_hits_nor_misses(kind):
    """Plain pycocotools overwrites `ignore`: difficult objects would be hits and misses."""
    plain = [truth([LEFT], [0], 1), truth([], [], 2)]
    marked = [truth([LEFT, MIDDLE], [0, 0], 1, **{kind: [1]}), truth([RIGHT], [0], 2, **{kind: [0]})]
    found = [prediction([MIDDLE, LEFT, MIDDLE], [0, 0, 0], [0.9, 0.8, 0.7]), NOTHING]
    result = evaluate_detections(marked, found, ["a"])
    without = evaluate_detections(plain, [prediction([LEFT], [0], [0.8]), NOTHING], ["a"])
    assert result.metrics["AP"] == pytest.approx(1.0)
    assert result.metrics | {"AR1": 1.0} == without.metrics  # of one prediction the surest is looked at
    assert result.objects_per_class.tolist() == [1]
    assert result.confusion_matrix.tolist() == [[1, 0], [0, 0]]


def test_box_in_a_crowd_is_excused_but_in_a_difficult_object_it_must_fit():
    small = [0, 0, 10, 10]  # an overlap of a quarter with the object, but all of it in the region
    found = [prediction([small, RIGHT], [0, 0], [0.9, 0.8])]
    crowd = evaluate_detections([truth([LEFT, RIGHT], [0, 0], crowd=[0])], found, ["a"])
    difficult = evaluate_detections([truth([LEFT, RIGHT], [0, 0], difficult=[0])], found, ["a"])
    assert (crowd.metrics["AP"], difficult.metrics["AP"]) == pytest.approx((1.0, 0.5))
    assert crowd.confusion_matrix.tolist() == [[1, 0], [0, 0]]
    assert difficult.confusion_matrix.tolist() == [[1, 0], [1, 0]]


def test_evaluation_prints_nothing(capfd):
    evaluate_detections([truth([LEFT], [0])], [NOTHING], ["a"])
    assert capfd.readouterr().out == ""


def test_order_of_pictures_does_not_matter():
    truths, predictions, names = read("all_sizes_crowds_and_empty_pictures")
    turned = evaluate_detections(truths[::-1], predictions[::-1], names)
    assert turned.metrics == pytest.approx(evaluate_detections(truths, predictions, names).metrics)


def test_confusion_matrix_has_a_background():
    objects = truth([LEFT, MIDDLE, RIGHT], [0, 1, 1])
    found = prediction([LEFT, LEFT, MIDDLE, ELSEWHERE, RIGHT], [1, 0, 0, 0, 1], [0.9, 0.5, 0.8, 0.6, 0.2])
    result = evaluate_detections([objects], [found], ["a", "b"], score_threshold=0.3)
    assert result.confusion_matrix.tolist() == [
        [1, 0, 0],  # the left one is found; that it is also taken for b is a false alarm
        [1, 0, 1],  # the middle one is taken for a; the right one is found, but not surely enough
        [1, 1, 0],
    ]
    assert result.score_threshold == 0.3


def test_object_found_twice_is_one_hit_and_one_false_alarm():
    shifted = [0, 1, 20, 21]
    result = evaluate_detections([truth([LEFT], [0])], [prediction([shifted, LEFT], [0, 0], [0.9, 0.5])], ["a"])
    assert result.confusion_matrix.tolist() == [[1, 0], [1, 0]]


def test_overlap_of_exactly_a_half_is_a_hit_though_boxes_are_float32():
    whole, half = [3, 7, 13, 27], [3, 7, 8, 27]
    result = evaluate_detections([truth([whole], [0])], [prediction([half], [0], [0.9])], ["a"])
    assert result.metrics["AP50"] == pytest.approx(1.0)
    assert result.confusion_matrix.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, p: p.pop(), "one per picture, in the order of the truths; given: 1 for 2"),
        (lambda t, p: t[1].update(image_id=1), "image_id must differ between pictures; given: 1 for 2"),
        (lambda t, p: t[0].pop("areas"), r"truths\[0\] must have .*; given: no areas"),
        (lambda t, p: p[0].update(boxes=np.zeros((2, 4))), r"predictions\[0\] must have boxes \[n, 4\]"),
        (lambda t, p: p[0].update(classes=np.array([2])), r"predictions\[0\] must lie in 0..1; given: 0 to 2"),
        (lambda t, p: t[0].update(classes=np.array([-1])), r"truths\[0\] must lie in 0..1; given: -1 to 0"),
        (lambda t, p: p[0].update(scores=np.array([math.nan])), r"scores of predictions\[0\] must be finite; given: 1"),
        (lambda t, p: t[0].update(boxes=np.full((1, 4), np.inf)), r"boxes of truths\[0\] must be finite; given: 4"),
        (lambda t, p: t[0].update(difficult=[True]), "neither crowd nor difficult; given: none in 2 pictures"),
    ],
)
def test_wrong_values(change, message):
    truths, predictions = [truth([LEFT], [1], 1), truth([], [], 2)], [prediction([LEFT], [1], [0.5]), NOTHING]
    change(truths, predictions)
    with pytest.raises(ValueError, match=message):
        evaluate_detections(truths, predictions, ["a", "b"])


@keras.saving.register_keras_serializable(package="tests")
class FoundByColour(keras.Model):
    """A detector whose `predict` finds as many boxes in a picture as its first value says, at most three."""

    def call(self, images):
        return images[:, 0, 0, 0]

    def predict_step(self, data):
        count = tf.cast(self(keras.utils.unpack_x_y_sample_weight(data)[0]), tf.int32)
        rows = tf.tile(tf.range(3.0)[None], [tf.shape(count)[0], 1])
        valid = rows < tf.cast(count, tf.float32)[:, None]
        return {
            "boxes": tf.stack([rows / 10, rows / 20, rows / 10 + 0.1, rows / 20 + 0.3], axis=-1),
            "scores": tf.where(valid, 1 - rows / 4, 0.0),
            "classes": tf.where(valid, tf.cast(rows, tf.int32), -1),
            "num_detections": count,
        }


def images_with(*counts):
    return np.array(counts, np.float32)[:, None, None, None] * np.ones((1, 4, 6, 3), np.float32)


def test_predictions_are_the_valid_rows_of_every_picture_in_order():
    images = images_with(2, 0, 3, 1, 1)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.zeros(5))).batch(2)
    model = FoundByColour()
    predictions = predict_detections(model, dataset)
    assert [part["classes"].tolist() for part in predictions] == [[0, 1], [], [0, 1, 2], [0], [0]]
    assert [part["boxes"].shape for part in predictions] == [(2, 4), (0, 4), (3, 4), (1, 4), (1, 4)]
    np.testing.assert_allclose(predictions[0]["scores"], [1.0, 0.75])
    assert {part[name].dtype for part in predictions for name in ("boxes", "scores")} == {np.dtype("float32")}
    alike = model.predict(images, verbose=0)
    np.testing.assert_array_equal(predictions[2]["boxes"], alike["boxes"][2])
    alone = predict_detections(model, dataset.map(lambda image, label: image))
    assert [part["classes"].tolist() for part in alone] == [part["classes"].tolist() for part in predictions]


def test_every_picture_is_predicted_once_also_on_several_replicas(strategy):
    with strategy.scope():
        model = FoundByColour()
    dataset = tf.data.Dataset.from_tensor_slices(images_with(2, 0, 3)).batch(2)
    assert [len(part["scores"]) for part in predict_detections(model, dataset)] == [2, 0, 3]


def test_boxes_come_back_into_the_original_pictures():
    def without_bars(boxes, truth):  # as wide as high, with bars above and below
        ratio = truth["height"] / truth["width"]
        return (boxes - [0.5, 0, 0.5, 0]) / [ratio, 1, ratio, 1] + [0.5, 0, 0.5, 0]

    [back] = in_originals([{"boxes": np.array([[0.25, 0.1, 0.75, 0.2]])}], [truth([], [])], without_bars)
    np.testing.assert_allclose(back["boxes"], [[0.0, 0.1, 1.0, 0.2]])
    with pytest.raises(ValueError, match="given: 0 for 1"):
        in_originals([], [truth([], [])], without_bars)
