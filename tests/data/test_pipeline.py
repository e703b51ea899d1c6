import itertools

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.augment import Augmentation
from mixer_tf.data.pipeline import eval_dataset, steps_per_epoch, train_dataset
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.data.sources import open_images
from mixer_tf.data.splits import Split

NUMBERS = Preprocessing((5, 7), mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))  # pixel values stay as they are
EVERYTHING = Augmentation(
    random_resized_crop=(0.3, 1.0),
    flip=True,
    color_jitter=0.3,
    rand_augment=(1, 5.0),
    random_erasing=0.3,
    mixup=0.4,
    cutmix=1.0,
)


def numbered(size=23, labels=True):
    """A split whose picture i is filled with i and has the label i % 3; it counts how often it is read."""
    reads = tf.Variable(0, dtype=tf.int64)

    def read(index):
        with tf.control_dependencies([reads.assign_add(1)]):
            image = tf.fill([6, 9, 3], tf.cast(index, tf.uint8))
        return {"image": image, "label": tf.cast(index % 3, tf.int32)}

    split = Split("numbers", size, np.arange(size, dtype=np.int32) % 3 if labels else None, read)
    return split, reads


def train(split=None, augmentation=EVERYTHING, batch_size=4, seed=1, preprocessing=NUMBERS, **options):
    return train_dataset(
        split or numbered()[0],
        preprocessing=preprocessing,
        augmentation=augmentation,
        num_classes=3,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def indices(batches):
    return [np.rint(images[:, 0, 0, 0]).astype(int).tolist() for images, _ in batches]


def test_batches_have_their_shapes_without_end():
    dataset = train()
    assert dataset.element_spec == (tf.TensorSpec([4, 5, 7, 3], tf.float32), tf.TensorSpec([4, 3], tf.float32))
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_an_epoch_is_a_part_of_a_permutation():
    steps = steps_per_epoch(numbered()[0], 4)
    assert steps == 5
    batches = take(train(augmentation=Augmentation()), 3 * steps)
    epochs = [list(itertools.chain(*indices(batches[i : i + steps]))) for i in (0, 5, 10)]
    for epoch in epochs:
        assert len(set(epoch)) == 20
        assert set(epoch) <= set(range(23))
    assert epochs[0] != epochs[1] != epochs[2]
    assert set(epochs[0]) != set(epochs[1]) or set(epochs[1]) != set(epochs[2])  # others are left out each time


def test_whole_split_is_permuted_evenly():
    split, _ = numbered(6)
    firsts = [batch[0] for batch in indices(take(train(split, Augmentation(), batch_size=6), 600))]
    assert np.bincount(firsts, minlength=6).min() > 60  # 100 each, were it perfect


def test_labels_belong_to_their_pictures():
    for images, labels in take(train(augmentation=Augmentation()), 5):
        np.testing.assert_array_equal(labels.argmax(axis=1), np.rint(images[:, 0, 0, 0]).astype(int) % 3)
        np.testing.assert_array_equal(labels.sum(axis=1), 1)


@pytest.mark.parametrize("start", [1, 5, 7])
def test_a_resumed_run_sees_the_same_batches(start):
    whole = take(train(), 10)
    resumed = take(train(start_step=start), 10 - start)
    for (images, labels), (expected_images, expected_labels) in zip(resumed, whole[start:], strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)


def test_nothing_is_read_to_be_skipped():
    split, reads = numbered()
    take(train(split, start_step=1_000_000), 1)
    assert reads.numpy() < 500  # what is prefetched, but not four million


def test_seed_decides():
    first, again, other = (take(train(seed=seed), 2)[1][0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_same_picture_is_augmented_anew_in_every_epoch():
    split, _ = numbered(4)
    augmentation = Augmentation(random_erasing=1.0)
    pictures = np.concatenate([images for images, _ in take(train(split, augmentation), 4)])
    assert len({picture.tobytes() for picture in pictures}) == 16


def test_evaluation_sees_every_example_once_in_order():
    dataset = eval_dataset(numbered()[0], preprocessing=NUMBERS, num_classes=3, batch_size=4)
    batches = list(dataset.as_numpy_iterator())
    assert dataset.cardinality() == 6
    assert list(itertools.chain(*indices(batches))) == list(range(23))
    assert batches[-1][0].shape == (3, 5, 7, 3)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]).argmax(axis=1), np.arange(23) % 3)


@pytest.mark.parametrize(
    "dataset", [train(), eval_dataset(numbered()[0], preprocessing=NUMBERS, num_classes=3, batch_size=4)]
)
def test_workers_share_by_examples(dataset):
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA


def test_distributed_batches_are_the_same_batches():
    strategy = tf.distribute.OneDeviceStrategy("CPU")
    distributed = iter(strategy.experimental_distribute_dataset(train()))
    for images, _ in take(train(), 3):
        np.testing.assert_array_equal(next(distributed)[0], images)


@pytest.mark.parametrize("start_step", [0, 7])
def test_workers_together_make_the_batches_of_one(start_step):
    split, reads = numbered()
    augmentation = Augmentation(flip=True, color_jitter=0.3)  # of single pictures, not of pairs
    whole = take(train(augmentation=augmentation, start_step=start_step), 9)
    first = take(train(split, augmentation, start_step=start_step, worker=0, num_workers=2), 9)
    second = take(train(augmentation=augmentation, start_step=start_step, worker=1, num_workers=2), 9)
    for (images, labels), one, other in zip(whole, first, second, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([one[0], other[0]]))
        np.testing.assert_array_equal(labels, np.concatenate([one[1], other[1]]))
    assert reads.numpy() < 500  # whatever the first step, nothing is read to be skipped


def test_workers_mix_other_pairs():
    pairs = [take(train(worker=worker, num_workers=2), 1)[0][1] for worker in (0, 1)]
    assert not np.array_equal(*pairs)


def test_workers_evaluate_disjoint_shares_that_are_complete_and_read_nothing_else():
    parts, all_reads = [], []
    for worker in range(3):
        split, reads = numbered()
        options = {"num_classes": 3, "batch_size": 6, "worker": worker, "num_workers": 3}
        dataset = eval_dataset(split, preprocessing=NUMBERS, **options)
        parts.append(list(itertools.chain(*indices(dataset.as_numpy_iterator()))))
        all_reads.append(int(reads.numpy()))
    assert sorted(itertools.chain(*parts)) == list(range(23))
    assert parts[0][:4] == [0, 1, 6, 7]
    assert all_reads == [8, 8, 7] == [len(part) for part in parts]


def test_batch_must_be_a_multiple_of_the_workers():
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 workers; given: 4"):
        train(worker=0, num_workers=3)


def test_digits_go_through():
    source = open_images("digits")
    preprocessing = Preprocessing((32, 24))
    batches = eval_dataset(source.evaluation, preprocessing=preprocessing, num_classes=10, batch_size=100)
    labels = np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
    np.testing.assert_array_equal(labels.argmax(axis=1), source.evaluation.labels)


def test_batch_must_fit_in_the_split():
    with pytest.raises(ValueError, match=r"batch_size must lie in 1\.\.23.*given: 24"):
        train(batch_size=24)
    with pytest.raises(ValueError, match="batch_size"):
        steps_per_epoch(numbered()[0], 0)


def test_labels_must_be_known_to_the_model():
    options = {"preprocessing": NUMBERS, "num_classes": 2, "batch_size": 4}
    with pytest.raises(ValueError, match=r"num_classes=2, .* lie in 0\.\.2"):
        eval_dataset(numbered()[0], **options)
    unknown = eval_dataset(numbered(labels=False)[0], **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match="label out of range"):
        list(unknown)
