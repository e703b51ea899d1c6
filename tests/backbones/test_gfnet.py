"""GFNet: its own idea, and what it refuses."""

import keras
import numpy as np
import pytest

from tests.backbones.tiny import tiny_backbone, tiny_images


def test_a_filter_is_a_convolution_that_wraps_around():
    """Whatever the weights: a map that is shifted in a circle gives the same map, shifted."""
    backbone = tiny_backbone("gfnet", patch_size=4)  # 6 x 10 patches
    layer = backbone.get_layer("block0_filter")
    layer.complex_weight.assign(np.random.default_rng(0).normal(size=layer.complex_weight.shape))
    x = np.random.default_rng(1).normal(size=(2, 6, 10, 10)).astype("float32")
    shifted = np.roll(x, (2, 3), axis=(1, 2))
    np.testing.assert_allclose(layer(shifted), np.roll(layer(x), (2, 3), axis=(1, 2)), atol=1e-5)


def test_one_residual_stands_around_filter_and_mlp():
    """With a layer scale of 0 a whole block is the identity."""
    backbone = tiny_backbone("gfnet_h", layer_scale=0.0)
    before, after = (backbone.get_layer(name).output for name in ("stem_grid", "P2"))
    first, last = keras.Model(backbone.input, [before, after])(tiny_images("gfnet_h"))
    np.testing.assert_array_equal(first, last)


@pytest.mark.parametrize(
    ("architecture", "arguments", "sentence"),
    [
        ("gfnet", {"image_shape": (25, 40, 3)}, r"divisible by patch_size 8; nearest: \(24, 40, 3\)"),
        ("gfnet_h", {"image_shape": (24, 44, 3)}, r"divisible by the last stage's stride 8; nearest: \(24, 48, 3\)"),
        ("gfnet_h", {"mlp_ratios": (4,)}, "mlp_ratios must have one value per stage; given: 1 values, 2 stages"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone(architecture, **arguments)
