"""FF-only: a Vision Transformer whose attention is a feed-forward layer over the tokens."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.weights import load_weights
from tests.backbones.tiny import tiny_backbone
from tests.weights.small_models import ff_only, random_arrays


def images(batch=2, shape=(24, 40, 3)):
    return np.random.default_rng(1).normal(size=(batch, *shape)).astype("float32")


def test_the_class_token_is_mixed_like_any_patch():
    """With the token mixing cut off it sees nothing of the picture."""
    backbone = tiny_backbone("ff_only")
    class_token = keras.Model(backbone.input, backbone.get_layer("norm").output[:, 0])
    assert np.abs(class_token(images())[0] - class_token(images())[1]).max() > 1e-3
    for i in range(2):
        backbone.get_layer(f"block{i}_token_mixing_fc2").kernel.assign(np.zeros((7, 16)))
    np.testing.assert_array_equal(class_token(images())[0], class_token(images())[1])


def test_the_second_norm_runs_over_the_tokens_of_each_channel():
    backbone = tiny_backbone("ff_only")
    norm = keras.Model(backbone.input, backbone.get_layer("block1_norm2").output)(images()).numpy()  # [b, c, s]
    assert norm.shape == (2, 10, 16)
    np.testing.assert_allclose(norm.mean(axis=2), np.zeros((2, 10)), atol=1e-5)
    assert np.abs(norm.mean(axis=1)).max() > 0.05


def test_stored_positions_of_another_grid_are_used_at_once():
    backbone = tiny_backbone("ff_only", pretrained_grid=(6, 4))
    assert backbone.get_layer("position_embedding").table.shape == (1, 6, 4, 10)
    assert backbone.output.shape == (None, 3, 5, 10)


def test_hidden_units_over_the_tokens_do_not_follow_the_image():
    backbone = mt.create_backbone("ff_only_tiny", (64, 96, 3), num_blocks=1)
    assert backbone.get_layer("block0_token_mixing_fc1").kernel.shape == (25, 788)


def test_weights_of_another_image_size_are_resized():
    arrays = random_arrays(ff_only((24, 24, 3)), "ff_only", "authors")
    model = ff_only((16, 40, 3))
    report = load_weights(model, arrays)
    assert len(report.resized) == 1 + 2 * 5
    np.testing.assert_array_equal(
        model.get_layer("block1_token_mixing_fc2").bias[0], arrays["blocks.1.mlp2.fc2.bias"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image_shape": (25, 40, 3)}, r"must be divisible by patch_size 8; nearest: \(24, 40, 3\)"),
        ({"pretrained_grid": (3,)}, r"pretrained_grid must be \(int, int\) or None; given: \(3,\)"),
        ({"pretrained_grid": (3, 0)}, r"pretrained_grid must be at least 1; given: \(3, 0\)"),
        ({"tokens_mlp_dim": 0}, "tokens_mlp_dim must be at least 1; given: 0"),
    ],
)
def test_wrong_values_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("ff_only", **arguments)
