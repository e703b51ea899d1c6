"""EANet: a dilated ResNet and the memory that all its pixels read."""

import keras
import numpy as np
import pytest

from mixer_tf.backbones.resnet import BLOCKS, conv_norm, residual_block
from tests.backbones.tiny import tiny_backbone

NORM = {"epsilon": 1e-5, "momentum": 0.9}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def with_random_weights(model):
    for i, weight in enumerate(model.weights):
        values = random(*weight.shape, seed=i)
        weight.assign(np.abs(values) + 0.5 if weight.name in ("moving_variance", "gamma") else 0.3 * values)
    return model


def block(kind, dilation):
    x = keras.Input((None, None, 6))
    y = residual_block(
        x,
        block=kind,
        width=4,
        expansion=2,
        stride=1,
        dilation=dilation,
        activation="relu",
        norm=NORM,
        zero_init_residual=False,
        drop_path_rate=0.0,
        name="block",
        output_name="output",
    )
    return with_random_weights(keras.Model(x, y))


@pytest.mark.parametrize("kind", BLOCKS)
def test_dilated_block_sees_on_a_fine_grid_what_the_plain_one_sees_on_a_coarse_one(kind):
    """Dilation in place of a stride: every second pixel gets exactly what it would have got."""
    x = random(2, 12, 10, 6)
    fine, coarse = block(kind, dilation=2)(x), block(kind, dilation=1)(x[:, ::2, ::2])
    np.testing.assert_allclose(fine[:, ::2, ::2], coarse, atol=1e-5)


@pytest.mark.parametrize("dilation", [1, 3])
def test_taps_stand_that_far_apart_and_zeros_around(dilation):
    inputs = keras.Input((7, 8, 3))
    model = with_random_weights(keras.Model(inputs, conv_norm(inputs, 5, 3, dilation=dilation, norm=NORM, name="conv")))
    model.get_layer("conv_norm").set_weights([np.ones(5), np.zeros(5), np.zeros(5), np.ones(5) - 1e-5])
    x, kernel = random(2, 7, 8, 3), model.get_layer("conv").kernel.numpy()
    padded = np.pad(x, ((0, 0), (dilation, dilation), (dilation, dilation), (0, 0)))
    expected = sum(
        padded[:, row * dilation :, column * dilation :][:, :7, :8] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )
    np.testing.assert_allclose(model(x), expected, atol=1e-5)


def test_strides_and_dilations_are_the_authors():
    backbone = tiny_backbone("eanet", stage_depths=(2, 2, 3, 3), stage_widths=(3, 4, 5, 6), multi_grid=(1, 2, 4))
    layers = [layer for layer in backbone.layers if layer.name.endswith("_conv2") and layer.name.startswith("stage")]
    assert [layer.dilation_rate[0] for layer in layers] == [1, 1, *(1, 1), *(1, 2, 2), *(2, 8, 16)]
    assert [layer.strides[0] for layer in layers] == [1, 1, *(2, 1), *(1, 1, 1), *(1, 1, 1)]


def test_every_place_reads_what_a_pixel_far_away_wrote():
    """Two pictures differ in one corner; only the memory carries that to the other end."""
    backbone = with_random_weights(tiny_backbone("eanet", image_shape=(24, 400, 3)))
    keys = backbone.get_layer("external_attention_keys").kernel
    keys.assign(0.01 * keys)  # so that no pixel alone takes a whole unit of the memory
    ends = [backbone.get_layer(name).output for name in ("reduction_activation", "projection_norm")]
    probe = keras.Model(backbone.input, ends)
    first = random(1, 24, 400, 3)
    second = first.copy()
    second[:, :8, :8] += 3
    (features, output), (other_features, other_output) = probe(first), probe(second)
    np.testing.assert_array_equal(features[:, :, 25:], other_features[:, :, 25:])
    assert np.abs(output - other_output)[:, :, 25:].max(axis=-1).min() > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stage_depths": (2,), "stage_widths": (4,)}, "stage_depths must name two stages or more; given: 1"),
        ({"stage_widths": (4, 5)}, "stage_widths must name one width per stage; given: 2 widths, 3 stages"),
        (
            {"multi_grid": (1, 2, 4)},
            "multi_grid must name one factor for each block of the last stage; given: 3 factors, 2 blocks",
        ),
        ({"multi_grid": (1, 0)}, "multi_grid must be at least 1"),
    ],
)
def test_wrong_argument_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("eanet", **arguments)
