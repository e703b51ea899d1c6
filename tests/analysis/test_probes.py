"""Probes of features, and the baseline of colours."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.analysis.probes import copied_color_accuracy, features_of, linear_probe, nearest_neighbour_probe
from tests.backbones.tiny import tiny_backbone, tiny_encoder, tiny_images


def batches(architecture, count=5):
    images, labels = tiny_images(architecture, count), np.array([2, 0, 1, 1, 0])[:count]
    return tf.data.Dataset.from_tensor_slices((images, np.eye(3, dtype="float32")[labels])).batch(2), images, labels


@pytest.mark.parametrize("architecture", ["resnet", "vit", "mlp_mixer", "raft_mlp", "s2_mlp"])
@pytest.mark.parametrize("reloaded", [False, True])
def test_features_are_the_mean_of_the_grid_whatever_the_head(tmp_path, architecture, reloaded):
    dataset, images, labels = batches(architecture)
    backbone = tiny_backbone(architecture)
    expected = backbone(images).numpy().mean(axis=(1, 2))
    masked = mt.masked_image_model(backbone, patch_size=4)
    for model in (backbone, mt.classifier(backbone, 3), masked):
        if reloaded:
            model.save(tmp_path / "model.keras")
            model = keras.models.load_model(tmp_path / "model.keras")
        features, found = features_of(model, dataset)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected, atol=1e-5)
        np.testing.assert_array_equal(found, labels)


def test_features_of_a_classifier_on_several_levels_are_those_of_the_last():
    dataset, images, _ = batches("raft_mlp")
    backbone = tiny_backbone("raft_mlp")
    level = keras.Model(backbone.input, backbone.get_layer("P3").output)
    features, _ = features_of(mt.classifier(backbone, 3, pool="multi_level"), dataset)
    np.testing.assert_allclose(features, level(images).numpy().mean(axis=(1, 2)), atol=1e-5)


def test_a_model_without_a_grid_is_refused():
    with pytest.raises(ValueError, match="needs a model with a backbone that reads pictures; given: bert"):
        features_of(tiny_encoder("bert"), [])


def clouds(count, seed, distance, classes=3, channels=5):
    """Clouds around centres; a channel of large numbers says nothing."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    features = random.normal(size=(count, channels)) + distance * np.eye(channels)[labels]
    return np.concatenate([features, 1000 + 100 * random.normal(size=(count, 1))], axis=1), labels


def test_linear_probe_finds_what_is_separated_and_guesses_where_nothing_is():
    assert linear_probe(*clouds(300, 1, distance=9.0), *clouds(100, 2, distance=9.0)) > 0.98
    assert linear_probe(*clouds(300, 1, distance=0.0), *clouds(900, 2, distance=0.0)) < 0.45


def test_nearest_neighbour_probe_goes_by_the_direction_and_the_vote():
    train, labels = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 9.0], [0.0, 1.0], [0.1, 1.0]]), [1, 1, 0, 2, 2]
    test = np.array([[50.0, 1.0], [0.0, 0.5]])
    assert nearest_neighbour_probe(train, labels, test, [1, 0], neighbours=1) == 1.0
    assert nearest_neighbour_probe(train, labels, test, [1, 2], neighbours=3) == 1.0
    assert nearest_neighbour_probe(train, labels, test, [1, 0], neighbours=3) == 0.5


def test_nearest_neighbour_probe_goes_through_many_examples():
    train, labels = clouds(400, 1, distance=9.0)
    test, test_labels = clouds(2100, 2, distance=9.0)
    assert nearest_neighbour_probe(train[:, :-1], labels, test[:, :-1], test_labels) > 0.97


def test_copied_colors_are_those_of_the_nearest_that_is_shown():
    labels = np.array([[[1, 2, 2], [1, 3, 4]], [[5, 5, 5], [5, 5, 5]]])
    kinds = np.array([[[0, 1, 0], [2, 3, 1]], [[1, 1, 1], [1, 1, 1]]])
    # (0, 1) copies 1, wrong; (1, 0) copies 1, right; (1, 1) is nearest to (0, 0), wrong; (1, 2) copies 2, wrong; and
    # the second picture has nothing to copy
    assert copied_color_accuracy(labels, kinds) == 1 / 10
    assert copied_color_accuracy(labels[:1], kinds[:1] > 1) == 1 / 2


@pytest.mark.parametrize(("labels", "kinds"), [((1, 2, 3), (1, 3, 2)), ((2, 3), (2, 3)), ((1, 2, 3), (1, 2, 3))])
def test_copied_colors_need_something_to_predict(labels, kinds):
    with pytest.raises(ValueError, match=r"must be .* alike, with a patch to predict; given: .* 0 of them"):
        copied_color_accuracy(np.zeros(labels, int), np.zeros(kinds, int))


@pytest.mark.parametrize("probe", [linear_probe, nearest_neighbour_probe])
@pytest.mark.parametrize("shapes", [((7, 3), (7,), (4, 2), (4,)), ((7, 3), (6,), (4, 3), (4,)), ((0, 3), (0,)) * 2])
def test_shapes_that_do_not_fit_are_refused(probe, shapes):
    with pytest.raises(ValueError, match="must fit together, with n and m at least 1; given: "):
        probe(*(np.zeros(shape, int) for shape in shapes))


def test_more_neighbours_than_examples_are_refused():
    with pytest.raises(ValueError, match=r"neighbours must lie in 1\.\.3, the training examples; given: 20"):
        nearest_neighbour_probe(np.ones((3, 2)), [0, 1, 2], np.ones((1, 2)), [0])
