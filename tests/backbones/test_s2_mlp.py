"""S2-MLP: the shift by one pixel, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones.tiny import tiny_backbone


def pixels_seen(pixel):
    """Patches on which one pixel after the first block depends."""
    backbone = tiny_backbone("s2_mlp")
    start = backbone.get_layer("stem_patch_embedding").output  # [b, 6, 10, c]
    block = keras.Model(start, backbone.get_layer("stage1_block1_mlp_add").output)
    x = tf.constant(np.random.default_rng(0).normal(size=(1, *start.shape[1:])).astype("float32"))
    row, column = pixel
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(block(x)[0, row, column] ** 2)
    rows, columns = np.nonzero(np.abs(tape.gradient(loss, x)[0]).max(axis=-1))
    return set(zip(rows.tolist(), columns.tolist(), strict=True))


def test_a_block_sees_the_four_neighbours():
    assert pixels_seen((2, 4)) == {(2, 4), (1, 4), (3, 4), (2, 3), (2, 5)}


def test_the_border_keeps_its_own_values():
    assert pixels_seen((0, 0)) == {(0, 0), (1, 0), (0, 1)}
    assert pixels_seen((5, 9)) == {(5, 9), (4, 9), (5, 8)}


def test_quarters_move_down_up_right_and_left():
    layer = tiny_backbone("s2_mlp").get_layer("stage1_block1_shift_move")
    x = np.zeros((1, 6, 10, 10), "float32")
    x[0, 2, 4] = 1
    y = layer(x).numpy()[0]
    for channels, pixel in (((0, 1), (3, 4)), ((2, 3, 4), (1, 4)), ((5, 6), (2, 5)), ((7, 8, 9), (2, 3))):
        for channel in channels:  # 10 channels end their quarters at 2, 5, 7 and 10
            assert np.argwhere(y[..., channel]).tolist() == [list(pixel)]


def test_paper_models_have_one_stage_and_name_their_one_level():
    backbone = tiny_backbone("s2_mlp", patch_sizes=(8,), stage_depths=(2,), stage_widths=(10,), mlp_ratios=(2,))
    assert [layer.name for layer in backbone.layers if layer.name.startswith("P")] == ["P3"]
    assert backbone.output.shape == (None, 3, 5, 10)


def test_a_stage_without_patches_of_its_own_adds_no_level():
    backbone = tiny_backbone("s2_mlp", patch_sizes=(8, 1))
    assert [layer.name for layer in backbone.layers if layer.name.startswith("P")] == ["P3"]
    assert backbone.output.shape == (None, 3, 5, 14)


@pytest.mark.parametrize("architecture", ["s2_mlp", "s2_mlp_v2"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"image_shape": (28, 44, 3)},
            r"\(28, 44, 3\) must be divisible by the product of patch_sizes \(4, 2\), 8; nearest: \(32, 48, 3\)",
        ),
        ({"patch_sizes": (4,)}, "patch_sizes must have one value per stage; given: 1 values, 2 stages"),
        ({"stage_widths": (10, 14, 20)}, "stage_widths must have one value per stage; given: 3 values, 2 stages"),
        ({"mlp_ratios": (2,)}, "mlp_ratios must have one value per stage; given: 1 values, 2 stages"),
        ({"mlp_ratios": (2, -1)}, r"mlp_ratios must be above 0; given: \(2, -1\)"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone(architecture, **arguments)
