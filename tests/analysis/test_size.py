"""Parameter counts as papers give them."""

from mixer_tf.analysis.size import count_parameters
from tests.backbones.tiny import tiny_backbone


def test_moving_statistics_are_no_parameters():
    backbone = tiny_backbone("resnet")
    statistics = sum(weight.shape[0] for weight in backbone.non_trainable_weights)
    assert statistics > 0
    assert count_parameters(backbone) == backbone.count_params() - statistics


def test_dropout_adds_nothing():
    assert count_parameters(tiny_backbone("vit", dropout=0.1)) == count_parameters(tiny_backbone("vit"))


def test_frozen_weights_still_count():
    backbone = tiny_backbone("mlp_mixer")
    before = count_parameters(backbone)
    backbone.trainable = False
    assert count_parameters(backbone) == before
