import itertools
import logging

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.augment_boxes import DetectionAugmentation
from mixer_tf.data.detection import eval_detection_dataset, padded_labels, train_detection_dataset
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.data.scenes import open_scenes

PREPROCESSING = Preprocessing((48, 64), fit="letterbox", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
EVERYTHING = DetectionAugmentation(scale_jitter=(0.5, 1.5), flip=True, mosaic=0.5, mixup=0.3, color_jitter=0.3)


@pytest.fixture(scope="module")
def source():
    return open_scenes(train_size=23, eval_size=7, image_size=64)


def train(source, augmentation=EVERYTHING, max_objects=9, batch_size=4, seed=1, **options):
    return train_detection_dataset(
        source.train,
        preprocessing=PREPROCESSING,
        augmentation=augmentation,
        max_objects=max_objects,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def evaluate(source, max_objects=9, batch_size=4, **options):
    return eval_detection_dataset(
        source.evaluation, preprocessing=PREPROCESSING, max_objects=max_objects, batch_size=batch_size, **options
    )


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def assert_equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])


def test_batches_have_their_shapes_without_end(source):
    dataset = train(source)
    assert dataset.element_spec == (tf.TensorSpec([4, 48, 64, 3], tf.float32), tf.TensorSpec([4, 9, 5], tf.float32))
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_every_row_is_an_object_or_padding(source):
    seen = set()
    for _, labels in take(train(source), 12):
        classes = labels[..., 4]
        seen |= set(classes.ravel())
        np.testing.assert_array_equal(labels[classes < 0], np.tile([0, 0, 0, 0, -1], [(classes < 0).sum(), 1]))
        boxes = labels[classes >= 0][:, :4]
        assert boxes.min() >= 0
        assert boxes.max() <= 1
        assert ((boxes[:, 2:] - boxes[:, :2]) * [48, 64]).min() >= 0.999
    assert seen == {-1.0, *map(float, range(10))}


def test_a_resumed_run_sees_the_same_batches(source):
    batches = take(train(source), 9)
    assert_equal(take(train(source, start_step=6), 3), batches[6:])
    assert not np.array_equal(take(train(source, seed=2), 1)[0][0], batches[0][0])


def test_workers_together_see_what_one_sees(source):
    augmentation = DetectionAugmentation(scale_jitter=(0.5, 1.5), flip=True)
    whole = take(train(source, augmentation), 3)
    first, second = (take(train(source, augmentation, worker=worker, num_workers=2), 3) for worker in range(2))
    for i, batch in enumerate(whole):
        assert_equal([batch], [tuple(np.concatenate(parts) for parts in zip(first[i], second[i], strict=True))])


def test_evaluation_shows_every_scene_once_with_its_objects(source):
    batches = list(evaluate(source).as_numpy_iterator())
    assert [len(images) for images, _ in batches] == [4, 3]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    for i in range(7):
        record, truth = source.evaluation.read(i), source.evaluation.truth(i)
        np.testing.assert_array_equal(images[i], PREPROCESSING(record["image"]))
        rows = labels[i][labels[i][:, 4] >= 0]
        np.testing.assert_array_equal(rows[:, 4], truth["classes"])
        expected = PREPROCESSING.boxes_to_input(truth["boxes"], np.array([64, 64]))
        np.testing.assert_allclose(rows[:, :4], expected, atol=1e-6)


def test_evaluation_in_shares(source):
    whole = np.concatenate([labels for _, labels in evaluate(source)])
    shares = [np.concatenate([labels for _, labels in evaluate(source, worker=w, num_workers=2)]) for w in range(2)]
    np.testing.assert_array_equal(shares[0], whole[[0, 1, 4, 5]])
    np.testing.assert_array_equal(shares[1], whole[[2, 3, 6]])


def test_of_too_many_objects_the_largest_are_kept_in_order():
    boxes = tf.constant([[0, 0, 0.5, 0.5], [0, 0, 0.1, 0.1], [0, 0, 1, 1], [0, 0, 0.2, 0.2]], tf.float32)
    labels = padded_labels(boxes, tf.constant([5, 6, 7, 8]), max_objects=3)
    np.testing.assert_array_equal(labels[:, 4], [5, 7, 8])


def test_objects_without_a_row_are_counted_in_the_log(source, caplog):
    with caplog.at_level(logging.WARNING, "mixer_tf"):
        train(source, DetectionAugmentation(), max_objects=2)
    excess = sum(max(len(source.train.truth(i)["classes"]) - 2, 0) for i in range(23))
    assert f"max_objects=2 leaves out {excess} of the {source.train.counts.sum()} objects" in caplog.text
    caplog.clear()
    train(source, DetectionAugmentation(), max_objects=6)
    assert not caplog.text


def test_wrong_arguments_in_one_line(source):
    with pytest.raises(ValueError, match="max_objects must be 1 or more; given: 0"):
        train(source, max_objects=0)
    with pytest.raises(ValueError, match=r"batch_size must lie in 1\.\.23"):
        train(source, batch_size=24)
