"""keras-cv's RetinaNet: that it is keras-cv's, that it learns, and that what keras-cv does wrong is not wrong here."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.heads.detector import Detector
from mixer_tf.heads.retinanet import retinanet
from mixer_tf.layers.anchors import AnchorDecoder, decode, encode
from mixer_tf.training.detection_loss import iou_and_giou
from mixer_tf.training.optimizers import create_optimizer
from mixer_tf.training.retinanet_loss import RetinaNetLoss, unmatched_objects
from tests.backbones.tiny import tiny_backbone

keras_cv = pytest.importorskip("keras_cv", reason="keras-cv is not installed: pip install 'mixer-tf[detection]'")

CLASSES = 3
SHAPE = (32, 64, 3)
ANCHORS = 9 * (4 * 8 + 2 * 4 + 1 * 2 + 1 + 1)


def backbone_of(image_shape=SHAPE):
    return mt.create_backbone("resnet18", image_shape, stage_depths=(1, 1, 1, 1), stage_widths=(6, 7, 8, 9))


def small_retinanet(image_shape=SHAPE, **arguments):
    return retinanet(backbone_of(image_shape), CLASSES, **{"anchor_scale": 2.0, **arguments})


def pictures(batch=4, image_shape=SHAPE):
    return np.random.default_rng(3).normal(size=(batch, *image_shape)).astype("float32")


def labels():
    """Two objects, one, one as large as the picture, none; boxes of the padding are not what one would expect there."""
    given = np.tile(np.array([0.2, 0.1, 0.7, 0.4, -1], "float32"), (4, 2, 1))
    given[0] = [[0.1, 0.1, 0.6, 0.4, 0], [0.3, 0.5, 0.9, 0.9, 2]]
    given[1, 0], given[2, 0] = [0.2, 0.1, 0.7, 0.35, 1], [0, 0, 1, 1, 2]
    return given


def compiled(model, learning_rate=1e-3):
    model.compile(create_optimizer("adamw", learning_rate=learning_rate), loss=RetinaNetLoss())
    return model


@pytest.fixture(scope="module")
def trained():
    """A RetinaNet that knows four pictures by heart, and these pictures."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    model, images = compiled(small_retinanet()), pictures()
    losses = model.fit(images, labels(), epochs=60, verbose=0).history["loss"]
    return model, images, losses


class Unsuppressed:
    """All boxes, in the place of keras-cv's suppression."""

    bounding_box_format = "yxyx"

    def __call__(self, boxes, logits, image_shape):
        return {"boxes": boxes}


@pytest.fixture(scope="module")
def original():
    """`keras_cv.models.RetinaNet` on the same backbone with the same weights, and ours."""
    keras.utils.set_random_seed(1)
    ours, backbone = small_retinanet(), backbone_of()
    backbone.pyramid_level_inputs = {"P3": "P3", "P4": "P4", "P5": "P5"}
    strides = [8, 16, 32, 64, 128]
    generator = keras_cv.layers.AnchorGenerator(
        bounding_box_format="yxyx",
        strides=strides,
        sizes=[2.0 * stride for stride in strides],
        scales=[2 ** (i / 3) for i in range(3)],
        aspect_ratios=[0.5, 1.0, 2.0],
        clip_boxes=True,
    )
    theirs = keras_cv.models.RetinaNet(
        backbone, CLASSES, "yxyx", anchor_generator=generator, prediction_decoder=Unsuppressed()
    )
    for layer in backbone.layers:
        layer.set_weights(ours.get_layer(layer.name).get_weights())
    for attribute, layer in vars(theirs.feature_pyramid).items():
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights(ours.get_layer(f"detector_{attribute}").get_weights())
    for kind, head in (("class", theirs.classification_head), ("box", theirs.box_head)):
        for i, layer in enumerate(head.conv_layers, start=1):
            layer.set_weights(ours.get_layer(f"detector_{kind}_conv{i}").get_weights())
    theirs.classification_head.prediction_layer.set_weights(ours.get_layer("detector_scores").get_weights())
    theirs.box_head.prediction_layer.set_weights(ours.get_layer("detector_differences").get_weights())
    return theirs, ours


def test_boxes_and_logits_are_those_of_keras_cv(original):
    theirs, ours = original
    expected, output = theirs(pictures()), ours(pictures()).numpy()
    assert output.shape == (4, *ours.output.shape[1:]) == (4, ANCHORS, 8 + CLASSES)
    np.testing.assert_allclose(output[..., 8:], expected["classification"], atol=1e-5)
    np.testing.assert_allclose(encode(output[..., :4], output[..., 4:8]), expected["box"], atol=1e-4)


def test_boxes_are_decoded_as_in_keras_cv(original):
    theirs, ours = original
    expected = theirs.decode_predictions(theirs(pictures()), pictures())["boxes"]
    boxes = ours(pictures()).numpy()[..., :4] * [32, 64, 32, 64]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)


@pytest.mark.parametrize("picture", range(3))
def test_the_loss_of_a_picture_is_that_of_keras_cv(original, picture):
    theirs, ours = original
    theirs.compile(box_loss="smoothl1", classification_loss="focal", optimizer="sgd")
    images, truth = pictures()[picture : picture + 1], labels()[picture : picture + 1]
    real = truth[:, truth[0, :, 4] >= 0]
    boxes = {"boxes": tf.constant(real[..., :4] * [32, 64, 32, 64], tf.float32), "classes": tf.constant(real[..., 4])}
    expected = theirs.compute_loss(images, boxes, theirs(images), None)
    assert float(expected) > 0
    loss = RetinaNetLoss(match_every_object=False)
    np.testing.assert_allclose(loss(truth, ours(images)), expected, rtol=1e-4)


def test_differences_from_anchors_are_decoded_again():
    random = np.random.default_rng(4)
    corner, size = random.uniform(0, 0.5, (5, 7, 2)), random.uniform(0.05, 0.5, (5, 7, 2))
    boxes, anchors = (
        np.concatenate([corner, corner + size], -1),
        np.concatenate([corner / 2, corner / 2 + size[::-1]], -1),
    )
    np.testing.assert_allclose(decode(encode(boxes, anchors), anchors), boxes, atol=1e-6)


@pytest.mark.parametrize("architecture", ["resnet", "vit", "cycle_mlp", "vip", "eanet"])  # one of each kind of pyramid
def test_backbones_of_every_kind_take_the_head(architecture):
    shape = (32, 32, 3) if architecture == "vip" else (64, 96, 3)
    arguments = {"tile_sizes": None} if architecture == "rep_mlp_net" else {}  # as large as the maps
    model = retinanet(tiny_backbone(architecture, shape, **arguments), CLASSES)
    anchors = model.get_layer("detector_anchors").anchors
    assert model.output.shape == (None, len(anchors), 8 + CLASSES)
    assert anchors.min() >= 0
    assert anchors.max() == 1
    assert (anchors[:, 2:] > anchors[:, :2]).all()


def test_it_learns_pictures_by_heart(trained):
    model, images, losses = trained
    assert losses[-1] < losses[0] / 10
    found = model.predict(images, verbose=0)
    for truth, boxes, classes, scores in zip(labels(), found["boxes"], found["classes"], found["scores"], strict=True):
        real = truth[truth[:, 4] >= 0]
        for *box, label in real:
            near = np.abs(boxes - box).max(axis=1) < 0.08
            assert (scores[near & (classes == label)] > 0.5).any()
        assert len(real) or not (scores > 0.5).any()


def test_a_file_brings_back_predictions_thresholds_and_training(trained, tmp_path, eager):
    """keras-cv's own fits no more after loading."""
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
    again.fit(images[1:], labels()[1:], epochs=1, verbose=0)
    assert not np.array_equal(again.get_layer("detector_scores").kernel, model.get_layer("detector_scores").kernel)


def test_a_file_loads_in_a_new_process(trained, tmp_path):
    trained[0].save(tmp_path / "model.keras")
    code = "import keras, mixer_tf, sys\nprint(type(keras.saving.load_model(sys.argv[1])).__name__)"
    result = subprocess.run([sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, text=True)
    assert result.stdout.split() == ["Detector"], result.stderr[-500:]


def test_bfloat16_trains_and_predicts_in_float32(trained, tmp_path, eager):
    """keras-cv's own does not predict; its anchors would be rounded, and its layers lose the policy in a file."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    model, images = compiled(small_retinanet(), learning_rate=1e-4), pictures()
    losses = model.fit(images, labels(), epochs=3, verbose=0).history["loss"]
    np.testing.assert_allclose(losses[0], trained[2][0], rtol=0.03)  # the same weights in float32
    assert losses[-1] < losses[0]
    assert model.output.dtype == "float32"
    found = model.predict(images, verbose=0)
    assert all(value.dtype in ("float32", "int32") for value in found.values())
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(model.get_layer("detector_anchors").anchors, AnchorDecoder(*STANDARD).anchors)
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("detector_conv_c6_3x3").compute_dtype == "bfloat16"
    assert again.get_layer("detector_scores").compute_dtype == "bfloat16"
    np.testing.assert_array_equal(again.predict(images, verbose=0)["boxes"], found["boxes"])


STANDARD = ([8, 16, 32, 64, 128], 2.0, SHAPE[:2])


def test_pictures_without_objects_teach_that_there_are_none():
    """keras-cv's own has no loss for a batch of them, and fails where there is not even a row for an object."""
    output = small_retinanet()(pictures(2))
    nothing = np.full((2, 3, 5), -1, "float32")
    loss = float(RetinaNetLoss()(nothing, output))
    assert loss > 0
    assert loss == float(RetinaNetLoss()(np.zeros((2, 0, 5), "float32"), output))


def test_boxes_of_the_padding_count_for_nothing(trained):
    model, images, _ = trained
    moved = labels()
    moved[moved[..., 4] < 0] = [0.3, 0.5, 0.9, 0.9, -1]  # where a real object is in another picture
    plain = labels()
    plain[plain[..., 4] < 0] = -1
    output = model(images)
    assert float(RetinaNetLoss()(moved, output)) == float(RetinaNetLoss()(plain, output))


def test_ragged_labels_have_the_loss_of_padded_ones(eager):
    images, padded = pictures(), labels()
    real = padded[..., 4] >= 0
    ragged = {
        "boxes": tf.RaggedTensor.from_row_lengths(padded[..., :4][real], real.sum(axis=1)),
        "labels": tf.RaggedTensor.from_row_lengths(padded[..., 4][real], real.sum(axis=1)),
    }
    model = compiled(small_retinanet())
    datasets = [tf.data.Dataset.from_tensor_slices((images, given)).batch(2) for given in (padded, ragged)]
    losses = [model.evaluate(dataset, verbose=0) for dataset in datasets]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_two_replicas_have_the_loss_of_one_and_predict(strategy):
    """keras-cv's own reports a sum, and does not predict from batches that have labels."""
    images, truth, losses = pictures(), labels(), []
    with strategy.scope():
        several = compiled(small_retinanet())
    one = compiled(small_retinanet())
    one.set_weights(several.get_weights())
    dataset = tf.data.Dataset.from_tensor_slices((images, truth)).batch(4, drop_remainder=True)
    for model in (one, several):
        losses.append(model.evaluate(dataset, verbose=0))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert several.predict(dataset, verbose=0)["boxes"].shape == (4, 100, 4)


def test_an_object_that_fits_no_anchor_has_the_best_one():
    """keras-cv's own never learns it."""
    model = small_retinanet()
    anchors = model.get_layer("detector_anchors").anchors
    output = tf.Variable(model(pictures(1)))
    small = np.array([[[0.5, 0.5, 0.55, 0.52, 1]]], "float32")
    assert unmatched_objects(model, small) == (1, 1)
    iou = iou_and_giou(anchors, small[0, :, :4])[0].numpy()
    for match_every_object in (False, True):
        with tf.GradientTape() as tape:
            loss = RetinaNetLoss(match_every_object=match_every_object)(small, output)
        learns = np.abs(tape.gradient(loss, output)[0, :, :4]).max(axis=1) > 0
        np.testing.assert_array_equal(learns, match_every_object & (iou == iou.max()))


def test_objects_that_fit_no_anchor_are_counted():
    truth = labels()
    truth[1, 1] = [0.5, 0.5, 0.55, 0.52, 1]
    assert unmatched_objects(small_retinanet(), truth) == (1, 5)
    assert unmatched_objects(small_retinanet(), np.zeros((2, 0, 5))) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchor_scale": 0}, "anchor_scale must be above 0; given: 0"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"image_shape": (40, 64, 3)}, "image_size must be divisible by 32 .*; given: 40x64; nearest: 32x64"),
    ],
)
def test_what_cannot_work_is_refused(arguments, message):
    image_shape = arguments.pop("image_shape", SHAPE)
    with pytest.raises(ValueError, match=message):
        retinanet(backbone_of(image_shape), **{"num_classes": CLASSES, **arguments})


def test_thresholds_of_the_loss_must_be_in_order():
    with pytest.raises(ValueError, match="negative_threshold must be at most positive_threshold"):
        RetinaNetLoss(positive_threshold=0.3)


def test_the_error_without_keras_cv_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(ValueError, match=r"mixer-tf\[detection\]"):
        small_retinanet()


def test_the_settings_of_the_loss_are_saved():
    loss = RetinaNetLoss(
        box_weight=0.7, positive_threshold=0.6, negative_threshold=0.3, match_every_object=False, gamma=1.5
    )
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert (again.gamma, again.negative_threshold, again.match_every_object) == (1.5, 0.3, False)
