"""AS-MLP: the axial shift, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones.tiny import tiny_backbone, tiny_images


def pixels_seen(backbone, first, last, pixel):
    """Pixels of the layer `first` on which one pixel of the layer `last` depends."""
    start, end = backbone.get_layer(first).output, backbone.get_layer(last).output
    height, width, channels = start.shape[1:]
    x = tf.constant(np.random.default_rng(0).normal(size=(1, height, width, channels)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reshape(keras.Model(start, end)(x), (height, width, -1))
        loss = tf.reduce_sum(y[pixel] ** 2)
    rows, columns = np.nonzero(np.abs(tape.gradient(loss, x)[0]).max(axis=-1))
    return set(zip(rows.tolist(), columns.tolist(), strict=True))


def test_one_branch_sees_five_pixels_of_the_row_and_the_other_five_of_the_column():
    backbone = tiny_backbone("as_mlp", stage_widths=(10, 12))
    for direction, expected in (
        ("columns", {(2, column) for column in (2, 3, 4, 5, 6)}),
        ("rows", {(row, 4) for row in (0, 1, 2, 3, 4)}),
    ):
        name = "stage1_block1_axial"
        assert pixels_seen(backbone, f"{name}_activation", f"{name}_{direction}", (2, 4)) == expected


def test_fewer_channels_than_groups_leave_the_last_distances_out():
    """`torch.chunk` cuts 7 channels into 2, 2, 2, 1: nothing moves by 2 to the right."""
    seen = pixels_seen(tiny_backbone("as_mlp"), "stage1_block1_axial_activation", "stage1_block1_axial_columns", (2, 4))
    assert seen == {(2, column) for column in (3, 4, 5, 6)}


def test_what_is_learned_fits_every_image_size():
    small, large = tiny_backbone("as_mlp"), tiny_backbone("as_mlp", image_shape=(48, 32, 3))
    large.set_weights(small.get_weights())
    assert large.output.shape == (None, 6, 4, 12)


def test_norm_of_the_patches_and_biases_of_the_shift_can_be_left_out():
    names = [weight.path for weight in tiny_backbone("as_mlp", patch_norm=False, axial_bias=False).weights]
    assert not [name for name in names if name.startswith("stem_norm")]
    assert [name for name in names if "axial" in name and name.endswith("bias")] == []


def test_dropout_stands_after_the_patches_and_in_the_mlps():
    model, batch = tiny_backbone("as_mlp", dropout=0.5), tiny_images("as_mlp")
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert names[:3] == ["stem_dropout", "stage1_block1_mlp_dropout1", "stage1_block1_mlp_dropout2"]
    assert np.abs(model(batch, training=True) - model(batch)).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"image_shape": (36, 44, 3)},
            r"\(36, 44, 3\) must be divisible by patch_size 4 and 2 at each of 1 merges, together 8; "
            r"nearest: \(32, 48, 3\)",
        ),
        ({"shift_size": 4}, "shift_size must be odd; given: 4"),
        ({"stage_widths": (7, 12, 24)}, "stage_widths must have one value per stage; given: 3 values, 2 stages"),
        ({"mlp_ratio": 0}, "mlp_ratio must be above 0; given: 0"),
        ({"stage_depths": (1, 0)}, r"stage_depths must be at least 1; given: \(1, 0\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("as_mlp", **arguments)
