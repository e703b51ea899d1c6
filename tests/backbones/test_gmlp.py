"""gMLP: the gate over the tokens."""

import keras
import numpy as np
import pytest

from mixer_tf.backbones.gmlp import gmlp_block, spatial_gating_unit
from tests.backbones.tiny import tiny_backbone


def test_a_new_gate_passes_on_half_of_the_channels():
    """Its map over the tokens starts at zero and its bias at one: the block starts as an MLP over the channels."""
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    tokens = keras.Input((5, 8))
    gate = keras.Model(tokens, spatial_gating_unit(tokens, norm_epsilon=1e-5, name="gate"))
    np.testing.assert_allclose(gate(x), x[..., :4], atol=1e-4)


def test_tokens_meet_in_the_gate_only():
    """With its map at zero, a patch's features depend on that patch alone; with another map, on all of them."""
    backbone, images = tiny_backbone("gmlp"), np.random.default_rng(1).normal(size=(1, 24, 40, 3)).astype("float32")
    changed = images.copy()
    changed[:, :8, :8] += 1

    def other_patches_change():
        return np.abs(backbone(images).numpy() - backbone(changed).numpy())[0].reshape(15, 10)[1:].max()

    mixing = [backbone.get_layer(f"block{i}_gate_token_mixing") for i in range(2)]
    for layer in mixing:
        layer.kernel.assign(np.zeros((15, 15)))
    assert other_patches_change() == 0
    mixing[0].kernel.assign(np.random.default_rng(2).normal(size=(15, 15)))
    assert other_patches_change() > 1e-3


def test_padding_does_not_reach_a_real_token():
    tokens, mask = keras.Input((5, 6)), keras.Input((5, 1))
    y = tokens
    for i in range(2):
        sizes = {"ffn_dim": 8, "activation": "gelu", "norm_epsilon": 1e-6, "gate_norm_epsilon": 1e-5}
        y = gmlp_block(y, **sizes, dropout=0.0, drop_path_rate=0.0, name=f"block{i}", mask=mask)
    model, random = keras.Model([tokens, mask], y), np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    x, real = random.normal(size=(2, 5, 6)).astype("float32"), np.ones((2, 5, 1), "float32")
    real[:, 3:] = 0
    other = np.where(real, x, random.normal(size=x.shape)).astype("float32")
    np.testing.assert_array_equal(model([x, real])[:, :3], model([other, real])[:, :3])
    assert np.abs(model([x, np.ones_like(real)]) - model([other, np.ones_like(real)]))[:, :3].max() > 1e-3


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="ffn_dim must be even, as one half gates the other; given: 15; nearest: 16"):
        tiny_backbone("gmlp", ffn_dim=15)


def test_image_that_the_patch_does_not_tile_is_refused():
    with pytest.raises(ValueError, match=r"must be divisible by patch_size 8; nearest: \(24, 40, 3\)"):
        tiny_backbone("gmlp", image_shape=(25, 40, 3))
