"""RaftMLP: its own ideas, and what it refuses."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.backbones.raft_mlp import from_rafts, to_rafts
from tests.backbones.tiny import tiny_backbone, tiny_images


@pytest.mark.parametrize("direction", ["vertical", "horizontal"])
def test_a_raft_rearrangement_has_an_inverse(direction):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    np.testing.assert_array_equal(from_rafts(to_rafts(x, 3, direction), 3, direction), x)


def test_a_raft_is_a_line_of_pixels_with_some_channels_of_each():
    """Channel `raft * groups + group`; in the vector the raft is slow and the place fast."""
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    rafts = keras.ops.convert_to_numpy(to_rafts(x, 3, "vertical"))
    assert rafts.shape == (2, 5, 2, 12)
    np.testing.assert_array_equal(rafts[1, 3, 1], np.concatenate([x[1, :, 3, c] for c in (1, 3, 5)]))
    rafts = keras.ops.convert_to_numpy(to_rafts(x, 3, "horizontal"))
    assert rafts.shape == (2, 4, 2, 15)
    np.testing.assert_array_equal(rafts[1, 2, 0], np.concatenate([x[1, 2, :, c] for c in (0, 2, 4)]))


def test_vertical_mixing_connects_the_pixels_of_a_column_and_no_others():
    backbone = tiny_backbone("raft_mlp")
    block = keras.Model(backbone.input, backbone.get_layer("stage1_block1_vertical_add").output)
    images = tiny_images("raft_mlp", batch=1)
    changed = images.copy()
    changed[:, 17, 17] += 1  # a pixel in the fifth row and column of patches, seen by its neighbours' windows too
    moved = np.abs(block(changed) - block(images)).max(axis=(0, 3))  # [6, 10]
    assert (moved.max(axis=0) > 0).nonzero()[0].tolist() == [3, 4]
    assert (moved[:, 3:5] > 0).all()


def test_picture_of_another_size_runs_on_weights_of_the_trained_grid():
    sizes = {"image_shape": (24, 40, 3), "pretrained_image_size": 32}
    off, on = tiny_backbone("raft_mlp", **sizes), tiny_backbone("raft_mlp", image_shape=(32, 32, 3))
    assert [weight.shape for weight in off.weights] == [weight.shape for weight in on.weights]
    assert off.output.shape == (None, 3, 5, 12)
    assert "stage1_block1_shrink" in {layer.name for layer in off.layers}


def test_picture_that_the_patches_do_not_tile_is_resized_up():
    backbone = tiny_backbone("raft_mlp", image_shape=(23, 41, 3))
    assert backbone.get_layer("stem_resize").output.shape == (None, 24, 44, 3)
    assert backbone.get_layer("stage2_downsample_resize").output.shape[1:3] == (6, 12)
    assert backbone.output.shape == (None, 3, 6, 12)


def test_mixer_blocks_mix_all_tokens():
    backbone = mt.create_backbone("raft_mlp_isotropic_mixer", (64, 96, 3), stage_depths=(1,), stage_widths=(10,))
    assert backbone.get_layer("stage1_block1_token_mixing_fc1").kernel.shape == (24, 48)
    assert backbone.output.shape == (None, 4, 6, 10)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"raft_sizes": (2, 5)}, r"raft_sizes must divide stage_widths; given: \(2, 5\) and \(10, 12\)"),
        ({"stage_widths": (10,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
        ({"embedding_kernels": ((8, 4), (2,))}, r"must begin with patch_sizes \(4, 2\); given: \(\(8, 4\), "),
        ({"embedding_kernels": ((4, 6), (2,))}, r"kernels must be multiples of the first, 4, .*given: \(4, 6\)"),
        ({"token_mixing": "sep_ln_ch_tm"}, "token_mixing must be one of raft, mixer; given: 'sep_ln_ch_tm'"),
    ],
)
def test_stages_that_do_not_fit_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("raft_mlp", **arguments)
