"""Assignment and loss of a detector, against a slow form that follows the papers line by line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.heads.detector import labels_of
from mixer_tf.training.detection_loss import DetectionLoss, iou_and_giou

ROWS, COLUMNS, CLASSES, OBJECTS = 5, 7, 3, 4


def random_output(batch=2, seed=0):
    """Boxes around the places of one map, the places, and logits."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
    starts = np.stack([y / ROWS, x / COLUMNS], axis=-1).reshape(-1, 2)
    cells = np.concatenate([starts, starts + np.array([1 / ROWS, 1 / COLUMNS])], axis=-1)
    cells = np.tile(cells, (batch, 1, 1))
    centres = (cells[..., :2] + cells[..., 2:]) / 2
    distances = random.uniform(0.1, 0.4, (*cells.shape[:2], 4))
    boxes = np.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)
    logits = random.normal(size=(*cells.shape[:2], CLASSES))
    return np.concatenate([boxes, cells, logits], axis=-1)


def random_labels(batch=2, seed=1):
    """Overlapping objects, one of them smaller than a place, and fewer in the second picture."""
    random = np.random.default_rng(seed)
    starts = random.uniform(0, 0.5, (batch, OBJECTS, 2))
    labels = np.concatenate([starts, starts + random.uniform(0.2, 0.5, (batch, OBJECTS, 2))], axis=-1)
    labels[0, 0, 2:] = labels[0, 0, :2] + 0.01
    classes = random.integers(0, CLASSES, (batch, OBJECTS, 1)).astype(float)
    labels = np.concatenate([labels, classes], axis=-1)
    labels[1, 2:] = [0, 0, 0, 0, -1]
    return labels


def slow_iou(a, b):
    height = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    width = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])  # noqa: E731
    union = area(a) + area(b) - height * width
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return height * width / union, height * width / union - (hull - union) / hull


def slow_loss(labels, output, top_k=10, alpha=0.5, beta=6.0, box_weight=2.5):
    """The loss of one picture, object by object and place by place."""
    boxes, cells, probabilities = output[:, :4], output[:, 4:8], 1 / (1 + np.exp(-output[:, 8:]))
    objects = [(label[:4], int(label[4])) for label in labels if label[4] >= 0]
    taken = {}  # place -> (IoU, object, alignment)
    for number, (box, kind) in enumerate(objects):
        candidates = []
        for place, cell in enumerate(cells):
            half = np.maximum(box[2:] - box[:2], cell[2:] - cell[:2]) / 2
            if (np.abs((cell[:2] + cell[2:]) / 2 - (box[:2] + box[2:]) / 2) <= half).all():
                iou = slow_iou(box, boxes[place])[0]
                candidates.append((probabilities[place, kind] ** alpha * iou**beta, iou, place))
        for alignment, iou, place in sorted(candidates, reverse=True)[:top_k]:
            if alignment > 0 and (place not in taken or iou > taken[place][0]):
                taken[place] = (iou, number, alignment)
    quality, targets = np.zeros(len(boxes)), np.zeros((len(boxes), probabilities.shape[1]))
    box_loss = 0.0
    for number, (box, kind) in enumerate(objects):
        mine = {place: entry for place, entry in taken.items() if entry[1] == number}
        for place, (_, _, alignment) in mine.items():
            best_iou, best = (max(entry[i] for entry in mine.values()) for i in (0, 2))
            quality[place] = targets[place, kind] = alignment / best * best_iou
            box_loss += quality[place] * (1 - slow_iou(box, boxes[place])[1])
    cross_entropy = -(targets * np.log(probabilities) + (1 - targets) * np.log1p(-probabilities)).sum()
    return (cross_entropy + box_weight * box_loss) / max(quality.sum(), 1.0)


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"alpha": 1.0, "beta": 2.0, "box_weight": 0.5}])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_the_slow_form(settings, seed):
    labels, output = random_labels(seed=seed), random_output(seed=seed + 10)
    losses = DetectionLoss(reduction="none", **settings)(labels, output)
    expected = [slow_loss(*pair, **settings) for pair in zip(labels, output, strict=True)]
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_an_object_smaller_than_a_place_still_teaches():
    output = tf.Variable(random_output(batch=1), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = DetectionLoss()(np.array([[[0.31, 0.45, 0.32, 0.46, 2.0]]]), output)
    gradient = tape.gradient(loss, output).numpy()[0]
    [place] = np.flatnonzero(gradient[:, :4].any(axis=1))
    np.testing.assert_allclose(output.numpy()[0, place, 4:8], [1 / 5, 3 / 7, 2 / 5, 4 / 7], atol=1e-6)  # it lies here


def test_padding_rows_change_nothing_whatever_their_boxes():
    labels, output = random_labels(), random_output()
    padded = np.concatenate([labels, np.tile([0.1, 0.2, 0.8, 0.9, -1.0], (2, 3, 1))], axis=1)
    loss = DetectionLoss()
    np.testing.assert_allclose(loss(labels, output), loss(padded, output), rtol=1e-6)


@pytest.mark.parametrize("objects", [0, 1])
def test_pictures_without_objects_push_every_score_down(objects):
    output = tf.Variable(random_output(), dtype=tf.float32)
    labels = np.tile([0.0, 0.0, 0.0, 0.0, -1.0], (2, objects, 1)).reshape(2, objects, 5)
    with tf.GradientTape() as tape:
        loss = DetectionLoss()(labels, output)
    gradient = tape.gradient(loss, output).numpy()
    assert (gradient[..., 8:] > 0).all()
    assert not gradient[..., :8].any()


def test_the_gradient_reaches_the_boxes_of_the_places_that_were_chosen():
    output = tf.Variable(random_output(), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = DetectionLoss(top_k=2)(random_labels(), output)
    gradient = tape.gradient(loss, output).numpy()
    per_picture = np.abs(gradient[..., :4]).sum(axis=-1).astype(bool).sum(axis=-1)
    assert (per_picture > 0).all()
    assert (per_picture <= 2 * OBJECTS).all()


@pytest.mark.parametrize(
    ("a", "b", "iou", "giou"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0, 1.0),
        ([0, 0, 1, 1], [0, 2, 1, 3], 0.0, -1 / 3),  # a gap as large as each box
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0),  # no area: no division by zero
    ],
)
def test_overlaps_computed_by_hand(a, b, iou, giou):
    np.testing.assert_allclose(iou_and_giou(np.array(a, float), np.array(b, float)), (iou, giou), atol=1e-6)


def test_labels_come_in_three_forms():
    labels = random_labels().astype("float32")
    padded = {"boxes": labels[..., :4], "classes": labels[..., 4].astype(int)}
    real = labels[..., 4] >= 0
    ragged = {
        "boxes": tf.RaggedTensor.from_row_lengths(labels[..., :4][real], real.sum(axis=1)),
        "labels": tf.RaggedTensor.from_row_lengths(labels[..., 4][real].astype(int), real.sum(axis=1)),
    }
    output = random_output()
    expected = float(DetectionLoss()(labels, output))
    for given in (labels, padded, ragged):
        assert float(DetectionLoss()(labels_of(given), output)) == pytest.approx(expected, rel=1e-6)


def test_labels_without_classes_are_refused():
    with pytest.raises(ValueError, match="must be a dict with boxes and classes; given: boxes, kinds"):
        labels_of({"boxes": np.zeros((1, 2, 4)), "kinds": np.zeros((1, 2))})


@pytest.mark.parametrize("arguments", [{"top_k": 0}, {"beta": -1}])
def test_settings_outside_their_range_are_refused(arguments):
    with pytest.raises(ValueError, match="must be at least"):
        DetectionLoss(**arguments)


def test_the_loss_survives_saving():
    loss = DetectionLoss(box_weight=1.5, top_k=3, alpha=1.0, beta=4.0)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
