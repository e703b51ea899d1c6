"""A detector's SavedModel: encoded pictures of any size in, objects in their own pixels out."""

import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.images import decode_image
from mixer_tf.data.preprocess import Preprocessing

NAMES = ("cat", "dog", "bird")
SIZES = [(40, 90), (64, 96), (131, 57), (30, 30)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A detector whose scores differ from place to place, and its signature."""
    backbone = mt.create_backbone("resnet18", (64, 96, 3), stage_depths=(1, 1, 1, 1), stage_widths=(6, 7, 8, 9))
    model = mt.detector(backbone, len(NAMES), width=16, num_convs=1, max_detections=9)
    scores = model.get_layer("detector_scores")
    random = np.random.default_rng(4)
    scores.set_weights([random.normal(size=weight.shape) for weight in scores.get_weights()])
    model.preprocessing = Preprocessing((64, 96), fit="letterbox")
    folder = mt.export(model, tmp_path_factory.mktemp("models") / "pets", class_names=NAMES)
    return model, tf.saved_model.load(str(folder)).signatures["serving_default"]


@pytest.fixture(scope="module")
def encoded():
    """Pictures of several sizes, one in each format."""
    random = np.random.default_rng(5)
    images = [random.integers(0, 256, (*size, 3)).astype("uint8") for size in SIZES]
    png, jpeg, grey = (
        tf.io.encode_png(images[0]),
        tf.io.encode_jpeg(images[1], quality=95),
        tf.io.encode_png(images[2][..., :1]),
    )
    return [bytes(x.numpy()) for x in (png, jpeg, grey, tf.io.encode_jpeg(images[3][..., :1]))]


def test_answers_are_those_of_predict_in_the_pixels_of_each_picture(exported, encoded):
    model, serve = exported
    answers = serve(image_bytes=tf.constant(encoded))
    images = [decode_image(data) for data in encoded]
    expected = model.predict(tf.stack([model.preprocessing(image) for image in images]), verbose=0)
    np.testing.assert_array_equal(answers["num_detections"], expected["num_detections"])
    np.testing.assert_allclose(answers["scores"], expected["scores"], atol=1e-4)
    for i, (size, count) in enumerate(zip(SIZES, expected["num_detections"], strict=True)):
        assert count > 0
        boxes = model.preprocessing.boxes_to_picture(expected["boxes"][i, :count], np.array(size))
        pixels = np.clip(boxes, 0, 1) * [*size, *size]
        np.testing.assert_allclose(answers["boxes"][i, :count], pixels, atol=1e-2)
        names = [NAMES[label].encode() for label in expected["classes"][i, :count]]
        assert answers["classes"][i, :count].numpy().tolist() == names
        assert (answers["boxes"][i, count:].numpy() == -1).all()
        assert (answers["classes"][i, count:].numpy() == b"").all()


def test_shapes_are_fixed_but_for_the_batch(exported, encoded):
    _, serve = exported
    assert {name: spec.shape.as_list() for name, spec in serve.structured_outputs.items()} == {
        "boxes": [None, 9, 4],
        "scores": [None, 9],
        "classes": [None, 9],
        "num_detections": [None],
    }
    for batch in ([], encoded[:1], encoded[:3]):
        answers = serve(image_bytes=tf.constant(batch, tf.string))
        assert answers["boxes"].shape == (len(batch), 9, 4)


def test_names_must_be_those_of_the_classes(exported, tmp_path):
    with pytest.raises(ValueError, match="class_names must name the model's 3 classes; given: 2 names"):
        mt.export(exported[0], tmp_path / "pets", class_names=["cat", "dog"])
