"""ConvMLP: the depthwise convolution between two MLPs, and what is refused."""

import numpy as np
import pytest

from tests.backbones.tiny import tiny_backbone, tiny_images


def test_depthwise_convolution_takes_the_place_of_its_input():
    """It has no residual: with its kernel at zero, nothing of the picture comes through."""
    backbone, pictures = tiny_backbone("conv_mlp"), tiny_images("conv_mlp")
    before = backbone(pictures).numpy()
    assert np.abs(before[0] - before[1]).max() > 0.1
    kernel = backbone.get_layer("stage3_block1_connect").kernel
    kernel.assign(np.zeros(kernel.shape))
    after = backbone(pictures).numpy()
    np.testing.assert_array_equal(after[0], after[1])


def test_drop_path_rises_within_each_stage():
    backbone = tiny_backbone("conv_mlp", stage_depths=(2, 3), drop_path_rate=0.2)
    rates = {layer.name: layer.rate for layer in backbone.layers if layer.name.endswith("drop_path")}
    assert rates == {
        f"stage{i}_block{j}_mlp{n}_drop_path": pytest.approx(rate)
        for (i, j), rate in {(2, 2): 0.2, (3, 2): 0.1, (3, 3): 0.2}.items()
        for n in (1, 2)
    }


@pytest.mark.parametrize(("height", "width"), [(1, 2), (33, 47), (64, 31)])
def test_every_image_size_fits_and_sides_are_rounded_up(height, width):
    backbone = tiny_backbone("conv_mlp", image_shape=(height, width, 3))
    backbone.set_weights(tiny_backbone("conv_mlp").get_weights())
    for level, stride in (("P2", 4), ("P3", 8), ("P4", 16)):
        assert backbone.get_layer(level).output.shape[1:3] == (-(-height // stride), -(-width // stride))
    assert np.isfinite(backbone(np.ones((1, height, width, 3), "float32"))).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stage_widths": (10,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
        ({"mlp_ratios": (2, 3, 4)}, "mlp_ratios must have one value per stage; given: 3 values, 2 stages"),
        ({"mlp_ratios": (2, 0)}, r"mlp_ratios must be above 0; given: \(2, 0\)"),
        ({"conv_depth": 0}, "conv_depth must be at least 1; given: 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("conv_mlp", **arguments)
