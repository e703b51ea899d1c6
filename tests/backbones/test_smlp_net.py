"""sMLPNet: its own idea, and what it refuses."""

import keras
import numpy as np
import pytest

from tests.backbones.tiny import tiny_backbone, tiny_images


def reached(backbone, start, end):
    """Where `end` changes when the pixel (2, 3) of `start` does."""
    part = keras.Model(backbone.get_layer(start).output, backbone.get_layer(end).output)
    x = np.random.default_rng(0).normal(size=(1, *backbone.get_layer(start).output.shape[1:])).astype("float32")
    changed = x.copy()
    changed[:, 2, 3] += 1
    return np.abs(part(changed) - part(x)).max(axis=(0, 3)) > 1e-6


def test_axes_reach_a_pixels_own_row_and_column_and_nothing_else():
    backbone = tiny_backbone("smlp_net")
    cross = np.zeros((6, 10), bool)
    cross[2], cross[:, 3] = True, True
    rows = reached(backbone, "stage1_block1_axes_activation", "stage1_block1_along_row")
    columns = reached(backbone, "stage1_block1_axes_activation", "stage1_block1_along_column")
    np.testing.assert_array_equal(rows | columns, cross)
    np.testing.assert_array_equal(rows[2], True)


def test_two_blocks_reach_the_whole_map():
    backbone = tiny_backbone("smlp_net", stage_depths=(2, 1))
    assert reached(backbone, "stem_patch_embedding", "P2").all()


def test_every_block_has_its_number_through_all_stages_in_the_authors_names():
    from mixer_tf.weights.layouts.smlp_net import AUTHORS

    model = tiny_backbone("smlp_net", stage_depths=(2, 2))
    names = {name for binding in AUTHORS.bind(model) for name in binding.names}
    assert {f"token_mix.{i}.1.fuse.weight" for i in range(4)} <= names
    assert not any(name.startswith("token_mix.4") for name in names)
    assert tiny_images("smlp_net").shape[1:] == model.input_shape[1:]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image_shape": (24, 44, 3)}, r"divisible by the last stage's stride 8; nearest: \(24, 48, 3\)"),
        ({"stage_widths": (4,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("smlp_net", **arguments)
