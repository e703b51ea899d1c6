"""The detector: what it gives, on which backbones, and that Keras's ways of using a model hold for it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.heads.detector import Detector, detector
from mixer_tf.training.detection_loss import DetectionLoss
from mixer_tf.training.optimizers import create_optimizer
from tests.backbones.tiny import TINY, tiny_backbone
from tests.heads.test_pyramid import large_enough

CLASSES = 3
SHAPE = (64, 96, 3)


def backbone_of(image_shape=SHAPE):
    return mt.create_backbone("resnet18", image_shape, stage_depths=(1, 1, 1, 1), stage_widths=(6, 7, 8, 9))


def small_detector(image_shape=SHAPE, **arguments):
    return detector(backbone_of(image_shape), CLASSES, width=16, num_convs=1, **arguments)


def pictures(batch=4, image_shape=SHAPE):
    return np.random.default_rng(3).normal(size=(batch, *image_shape)).astype("float32")


def labels():
    """Two objects, one, one as large as the picture, none."""
    given = np.tile(np.array([0, 0, 0, 0, -1], "float32"), (4, 2, 1))
    given[0] = [[0.1, 0.1, 0.5, 0.5, 0], [0.3, 0.3, 0.9, 0.9, 2]]
    given[1, 0], given[2, 0] = [0.2, 0.1, 0.25, 0.15, 1], [0, 0, 1, 1, 2]
    return given


def compiled(model, **arguments):
    model.compile(create_optimizer("adamw", learning_rate=3e-3), loss=DetectionLoss(), **arguments)
    return model


@pytest.fixture(scope="module")
def trained():
    """A detector that knows four pictures by heart, and these pictures."""
    keras.utils.set_random_seed(0)
    model, images = compiled(detector(backbone_of(), CLASSES, width=32, num_convs=1)), pictures()
    losses = model.fit(images, labels(), epochs=150, verbose=0).history["loss"]
    return model, images, losses


@pytest.mark.parametrize("architecture", TINY)
def test_every_architecture_detects_and_every_weight_learns(architecture):
    backbone = tiny_backbone(architecture, large_enough(architecture), **TINY[architecture].to_train)
    model = detector(backbone, CLASSES, width=16, num_convs=1)
    images = pictures(2, backbone.input.shape[1:])
    truth = np.array([[[0.1, 0.2, 0.6, 0.9, 1]], [[0.3, 0.1, 0.9, 0.4, 2]]], "float32")
    with tf.GradientTape() as tape:
        loss = DetectionLoss()(truth, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_weights)
    idle = [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None]
    assert np.isfinite(float(loss))
    assert not idle
    found = model.predict(images, verbose=0)
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (2, 100, 4),
        "scores": (2, 100),
        "classes": (2, 100),
        "num_detections": (2,),
    }


def test_it_learns_pictures_by_heart(trained):
    model, images, losses = trained
    assert losses[-1] < losses[0] / 3
    found = model.predict(images, verbose=0)
    for truth, boxes, classes, scores in zip(labels(), found["boxes"], found["classes"], found["scores"], strict=True):
        sure = scores > 0.5
        real = truth[truth[:, 4] >= 0]
        assert sorted(classes[sure]) == sorted(real[:, 4])
        order = [int(np.abs(boxes[sure] - row[:4]).sum(axis=1).argmin()) for row in real]
        np.testing.assert_allclose(boxes[sure][order].reshape(-1, 4), real[:, :4], atol=0.08)


def test_what_is_behind_the_last_detection_is_minus_one(trained):
    model, images, _ = trained
    found = model.predict(images, verbose=0)
    for i, count in enumerate(found["num_detections"]):
        assert (found["scores"][i, :count] >= 0.05).all()
        assert (np.diff(found["scores"][i, :count]) <= 0).all()
        assert ((found["boxes"][i, :count] >= 0) & (found["boxes"][i, :count] <= 1)).all()
        assert all((found[name][i, count:] == -1).all() for name in ("boxes", "scores", "classes"))


def test_thresholds_change_after_training_without_building(trained):
    model, images, _ = trained
    few = model.predict(images, verbose=0)["num_detections"]
    model.score_threshold, model.iou_threshold, model.max_detections = 0.0, 1.0, 7
    try:
        found = model.predict(images, verbose=0)
        assert found["boxes"].shape == (4, 7, 4)
        assert (found["num_detections"] == 7).all()
        assert (few < 7).all()
    finally:
        model.score_threshold, model.iou_threshold, model.max_detections = 0.05, 0.6, 100


@pytest.mark.parametrize(
    ("name", "value"),
    [("score_threshold", 1.5), ("iou_threshold", -0.1), ("max_detections", 0), ("max_candidates", 2.5)],
)
def test_thresholds_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(small_detector(), name, value)


def test_boxes_of_different_classes_do_not_suppress_each_other():
    model = small_detector()
    output = np.zeros((1, model.output.shape[1], 8 + CLASSES), "float32")
    output[..., 8:] = -20
    output[0, :3, :4] = [0.2, 0.2, 0.7, 0.7]
    output[0, 0, 8], output[0, 1, 9], output[0, 2, 9] = 3, 2, 1
    found = model.detect(tf.constant(output))
    assert found["num_detections"].numpy().tolist() == [2]
    assert found["classes"][0, :2].numpy().tolist() == [0, 1]


def test_a_file_brings_back_predictions_thresholds_and_training(trained, tmp_path, eager):
    model, images, _ = trained
    model.score_threshold = 0.2
    try:
        model.save(tmp_path / "model.keras")
        expected = model.predict(images, verbose=0)
    finally:
        model.score_threshold = 0.05
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, Detector)
    assert again.score_threshold == 0.2
    for name, value in again.predict(images, verbose=0).items():
        np.testing.assert_array_equal(value, expected[name], name)
    before = again.evaluate(images, labels(), verbose=0)
    again.fit(images, labels(), epochs=3, verbose=0)
    assert again.evaluate(images, labels(), verbose=0) != before


def test_a_file_loads_in_a_new_process(trained, tmp_path):
    trained[0].save(tmp_path / "model.keras")
    code = (
        "import keras, mixer_tf, sys\nmodel = keras.saving.load_model(sys.argv[1])\n"
        "print(type(model).__name__, model.name)"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, text=True)
    assert result.stdout.split() == ["Detector", trained[0].name], result.stderr[-500:]


def test_ragged_and_padded_labels_train_alike(eager):
    images, padded = pictures(), labels()
    real = padded[..., 4] >= 0
    lengths = real.sum(axis=1)
    ragged = {
        "boxes": tf.RaggedTensor.from_row_lengths(padded[..., :4][real], lengths),
        "classes": tf.RaggedTensor.from_row_lengths(padded[..., 4][real], lengths),
    }
    losses = []
    for given in (padded, ragged):
        keras.utils.set_random_seed(1)
        model = compiled(small_detector())
        dataset = tf.data.Dataset.from_tensor_slices((images, given)).batch(2)
        losses.append(model.fit(dataset, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_bfloat16_trains_and_predicts_in_float32(eager):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model, images = compiled(small_detector()), pictures()
    losses = model.fit(images, labels(), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.output.dtype == "float32"
    assert all(value.dtype in ("float32", "int32") for value in model.predict(images, verbose=0).values())


def small_vit_detector():
    """Without a BatchNormalization, which sees a part of the batch only."""
    backbone = {"patch_size": 8, "num_blocks": 1, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    return detector(mt.create_backbone("vit_b16", SHAPE, **backbone), CLASSES, width=16, num_convs=1)


def test_two_replicas_learn_what_one_does(strategy):
    images, truth, losses = pictures(), labels(), []
    with strategy.scope():
        several = compiled(small_vit_detector())
    one = compiled(small_vit_detector())
    one.set_weights(several.get_weights())
    for model in (one, several):
        dataset = tf.data.Dataset.from_tensor_slices((images, truth)).batch(4, drop_remainder=True)
        losses.append([*model.fit(dataset, epochs=2, verbose=0).history["loss"], model.evaluate(dataset, verbose=0)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    found = several.predict(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0)
    assert found["boxes"].shape == (4, 100, 4)


def test_micro_batches_make_the_update_of_the_whole_batch(eager):
    models = [small_vit_detector() for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    models[1].accumulate_steps = 2
    losses = [compiled(m).fit(pictures(), labels(), batch_size=4, epochs=2, verbose=0).history["loss"] for m in models]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_the_first_scores_are_the_prior():
    scores = 1 / (1 + np.exp(-small_detector()(pictures()).numpy()[..., 8:]))
    assert 0.005 < scores.mean() < 0.02


@pytest.mark.parametrize("shape", [(72, 100, 3), (65, 97, 3)])
def test_odd_sizes_give_boxes_at_their_place(shape):
    model = small_detector(shape)
    cells = model(pictures(1, shape)).numpy()[0, :, 4:8] * [*shape[:2], *shape[:2]]
    first = -(-shape[0] // 8) * -(-shape[1] // 8)
    np.testing.assert_allclose(cells[1], [0, 8, 8, 16], atol=1e-4)
    np.testing.assert_allclose(cells[first], [0, 0, 16, 16], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 40}, "width must be a multiple of 16; given: 40"),
        ({"num_convs": -1}, "num_convs must be at least 0"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        detector(backbone_of(), **{"num_classes": 3, **arguments})


def test_a_classifier_of_the_package_gives_its_backbone_and_nothing_else(tmp_path):
    classifier = mt.classifier(backbone_of(), num_classes=7)
    classifier.save(tmp_path / "classifier.keras")
    model = small_detector()
    before = model.get_layer("detector_scores").kernel.numpy()
    report = mt.load_weights(model, tmp_path / "classifier.keras")
    np.testing.assert_array_equal(model.get_layer("stem").kernel, classifier.get_layer("stem").kernel)
    np.testing.assert_array_equal(model.get_layer("detector_scores").kernel, before)
    assert any(name.startswith("head/") for name in report.skipped)


@pytest.mark.parametrize("head", [mt.detector, mt.retinanet])
def test_a_published_classifier_gives_its_backbone_with_skip_head(tmp_path, head):
    arguments = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 16, "num_heads": 2, "mlp_dim": 24}
    first, second = (mt.create_backbone("vit", SHAPE, **arguments) for _ in range(2))
    path = mt.save_weights(mt.classifier(first, num_classes=7), tmp_path / "published.npz", layout="timm")
    model = head(second, num_classes=3)
    with pytest.raises(ValueError, match="skip_head=True"):
        mt.load_weights(model, path)
    assert set(mt.load_weights(model, path, skip_head=True).skipped) == {"head.bias", "head.weight"}
    for weight in first.weights:
        np.testing.assert_array_equal(next(w for w in model.weights if w.path == weight.path), weight)


def test_a_detector_gives_its_backbone_to_a_classifier(tmp_path):
    model = small_detector()
    model.save(tmp_path / "detector.keras")
    classifier = mt.classifier(backbone_of(), num_classes=7)
    report = mt.load_weights(classifier, tmp_path / "detector.keras")
    np.testing.assert_array_equal(model.get_layer("stem").kernel, classifier.get_layer("stem").kernel)
    assert any(name.startswith("detector_") for name in report.skipped)


def test_a_detector_of_other_classes_needs_skip_head(tmp_path):
    small_detector().save(tmp_path / "detector.keras")
    model = detector(backbone_of(), CLASSES + 2, width=16, num_convs=1)
    with pytest.raises(ValueError, match="skip_head=True"):
        mt.load_weights(model, tmp_path / "detector.keras")
    mt.load_weights(model, tmp_path / "detector.keras", skip_head=True)
