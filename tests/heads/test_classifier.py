"""The classification head."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from tests.backbones.tiny import tiny_backbone, tiny_encoder

IMAGE_SHAPE = (24, 40, 3)


def images():
    return np.random.default_rng(0).normal(size=(2, *IMAGE_SHAPE)).astype("float32")


def with_random_head(model):
    head = model.get_layer("head")
    head.kernel.assign(np.random.default_rng(1).normal(size=head.kernel.shape))
    return model, head.kernel.numpy()


def test_average_pool_is_the_mean_over_the_grid():
    backbone = tiny_backbone("mlp_mixer")
    model, kernel = with_random_head(mt.classifier(backbone, 4))
    np.testing.assert_allclose(model(images()), backbone(images()).numpy().mean(axis=(1, 2)) @ kernel, atol=1e-5)


def test_class_token_is_taken_where_there_is_one():
    backbone = tiny_backbone("vit")
    tokens = keras.Model(backbone.input, backbone.get_layer("norm").output)(images()).numpy()
    model, kernel = with_random_head(mt.classifier(backbone, 4))
    np.testing.assert_allclose(model(images()), tokens[:, 0] @ kernel, atol=1e-5)
    model, kernel = with_random_head(mt.classifier(backbone, 4, pool="average"))
    np.testing.assert_allclose(model(images()), tokens[:, 1:].mean(axis=1) @ kernel, atol=1e-5)


def test_norm_after_pooling_and_pre_logits_stand_before_the_head():
    backbone = tiny_backbone("vit", class_token=False, final_norm=False)
    model = mt.classifier(backbone, 4, norm_epsilon=1e-6, pre_logits_dim=9, dropout=0.1)
    names = [layer.name for layer in model.layers]
    assert names[names.index("head_pool") :] == ["head_pool", "head_norm", "pre_logits", "head_dropout", "head"]
    assert model.get_layer("pre_logits").kernel.shape == (12, 9)


def test_what_the_backbone_was_published_with_stands_where_the_caller_says_nothing():
    backbone = tiny_backbone("vit")
    backbone.classifier_arguments = {"norm_epsilon": 1e-3, "pool": "average"}
    model = mt.classifier(backbone, 4)
    assert [layer.name for layer in model.layers][-3:] == ["head_pool", "head_norm", "head"]
    assert model.get_layer("head_norm").epsilon == 1e-3
    model = mt.classifier(backbone, 4, norm_epsilon=1e-5, pool="token")
    assert model.get_layer("head_norm").epsilon == 1e-5
    assert "head_pool" not in [layer.name for layer in model.layers]


def test_first_logits_are_the_initial_bias():
    model = mt.classifier(tiny_backbone("resnet"), 4, bias_initializer=-6.9)
    np.testing.assert_allclose(model(images()), np.full((2, 4), -6.9))


def test_preprocessing_of_the_backbone_goes_to_the_model():
    backbone = tiny_backbone("mlp_mixer")
    backbone.preprocessing = Preprocessing(IMAGE_SHAPE[:2], mean=(0.1, 0.2, 0.3))
    assert mt.classifier(backbone, 4).preprocessing == backbone.preprocessing


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1; given: 0"),
        ({"num_classes": 3, "pool": "max"}, "pool must be 'average', 'token' or 'multi_level'; given: 'max'"),
        ({"num_classes": 3, "pool": "token"}, "needs a backbone with a class token; mlp_mixer has none"),
    ],
)
def test_wrong_argument_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        mt.classifier(tiny_backbone("mlp_mixer"), **arguments)


def test_a_backbone_that_reads_text_is_refused():
    with pytest.raises(ValueError, match="must continue a backbone that reads pictures; bert reads text"):
        mt.classifier(tiny_encoder("bert"), 4)
