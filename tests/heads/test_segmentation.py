"""The segmentation head."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.layers.resize import bilinear_matrix
from tests.backbones.tiny import tiny_backbone, tiny_encoder, tiny_images


def test_every_pixel_has_the_logits_of_its_place_between_the_grids_points():
    backbone, images = tiny_backbone("eanet"), tiny_images("eanet")
    model = mt.segmenter(backbone, 4)
    head = model.get_layer("head")
    head.bias.assign([1, 2, 3, 4])
    coarse = backbone(images).numpy() @ head.kernel.numpy() + head.bias.numpy()  # [b, 3, 5, 4]
    rows, columns = bilinear_matrix(3, 24, align_corners=True), bilinear_matrix(5, 40, align_corners=True)
    logits = model(images).numpy()
    np.testing.assert_allclose(logits, np.einsum("yh,xw,bhwk->byxk", rows, columns, coarse), atol=1e-5)
    np.testing.assert_allclose(logits[:, [0, -1], [0, -1]], coarse[:, [0, -1], [0, -1]], atol=1e-5)


def test_dropout_takes_whole_channels_in_training_alone():
    model, images = mt.segmenter(tiny_backbone("eanet"), 4, dropout=0.5), tiny_images("eanet", batch=20)
    before, after = model.get_layer("P3").output, model.get_layer("head_dropout").output
    kept = keras.Model(model.input, [before, after])
    before, after = (x.numpy() for x in kept(images, training=True))
    dropped = (after == 0).all(axis=(1, 2))
    assert 0.2 < dropped.mean() < 0.8
    np.testing.assert_allclose(after, np.where(dropped[:, None, None], 0, 2 * before), rtol=1e-5)
    before, after = kept(images)
    np.testing.assert_array_equal(before, after)


def test_logits_are_float32_under_a_lower_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = mt.segmenter(tiny_backbone("eanet"), 4)
    logits = model(tiny_images("eanet"))
    assert logits.dtype == "float32"
    assert np.abs(logits.numpy() - keras.ops.convert_to_numpy(keras.ops.cast(logits, "bfloat16"))).max() > 0


def test_head_continues_any_backbone_of_pictures_and_learns():
    model, images = mt.segmenter(tiny_backbone("mlp_mixer"), 3), tiny_images("mlp_mixer")
    labels = np.random.default_rng(0).integers(3, size=(3, 24, 40))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(images, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_saved_model_gives_the_same_logits(tmp_path):
    model, images = mt.segmenter(tiny_backbone("eanet"), 4), tiny_images("eanet")
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(images), model(images), atol=1e-6)


def test_preprocessing_of_the_backbone_goes_to_the_model():
    backbone = tiny_backbone("eanet")
    backbone.preprocessing = Preprocessing((24, 40), mean=(0.1, 0.2, 0.3))
    assert mt.segmenter(backbone, 4).preprocessing == backbone.preprocessing


def test_wrong_argument_is_refused():
    with pytest.raises(ValueError, match="num_classes must be at least 1; given: 0"):
        mt.segmenter(tiny_backbone("eanet"), 0)
    with pytest.raises(ValueError, match=r"must continue a backbone that reads pictures, .*; given: bert"):
        mt.segmenter(tiny_encoder("bert"), 3)
