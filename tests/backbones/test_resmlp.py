"""ResMLP: residual branches that start small, and no statistics."""

import keras
import numpy as np
import pytest

from mixer_tf.backbones.resmlp import resmlp_block
from tests.backbones.tiny import tiny_backbone


def images(batch=2):
    return np.random.default_rng(1).normal(size=(batch, 24, 40, 3)).astype("float32")


def test_a_block_with_zero_layer_scale_is_the_identity():
    backbone = tiny_backbone("resmlp", layer_scale=0)
    tokens, after_blocks = (backbone.get_layer(name).output for name in ("stem_tokens", "block1_channel_mixing_add"))
    first, last = keras.Model(backbone.input, [tokens, after_blocks])(images())
    np.testing.assert_array_equal(first, last)


def test_without_the_activation_the_network_is_linear_in_the_picture():
    """No mean, no variance: only the GELU of the channel MLP bends anything."""
    backbone = tiny_backbone("resmlp", activation="relu")
    for i in range(2):  # all hidden units stay above zero, where the ReLU is the identity
        backbone.get_layer(f"block{i}_channel_mixing_fc1").bias.assign(np.full(14, 1e3))
    x, y = images(2)
    middle = backbone(((x + y) / 2)[None])[0]
    ends = backbone(np.stack([x, y])).numpy()
    np.testing.assert_allclose(middle, ends.mean(axis=0), atol=1e-2)  # of values around 50
    assert np.abs(ends[0] - ends[1]).max() > 0.1


def test_padding_does_not_reach_a_real_token():
    tokens, mask = keras.Input((5, 6)), keras.Input((5, 1))
    sizes = {"channels_mlp_dim": 8, "layer_scale": 1.0, "activation": "gelu", "dropout": 0.0, "drop_path_rate": 0.0}
    y = resmlp_block(resmlp_block(tokens, **sizes, name="block0", mask=mask), **sizes, name="block1", mask=mask)
    model, random = keras.Model([tokens, mask], y), np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    x, real = random.normal(size=(2, 5, 6)).astype("float32"), np.ones((2, 5, 1), "float32")
    real[:, 3:] = 0
    other = np.where(real, x, random.normal(size=x.shape)).astype("float32")
    np.testing.assert_array_equal(model([x, real])[:, :3], model([other, real])[:, :3])
    assert np.abs(model([x, np.ones_like(real)]) - model([other, np.ones_like(real)]))[:, :3].max() > 1e-3


def test_image_that_the_patch_does_not_tile_is_refused():
    with pytest.raises(ValueError, match=r"must be divisible by patch_size 8; nearest: \(24, 40, 3\)"):
        tiny_backbone("resmlp", image_shape=(25, 40, 3))
