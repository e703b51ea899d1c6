"""ResNet's idea: a block computes what is added to its input."""

import keras
import numpy as np

from tests.backbones.tiny import tiny_backbone, tiny_images


def test_resnet_starts_with_branches_that_add_nothing():
    """With the last scale at zero, a block without a shortcut convolution passes on what it gets."""
    backbone = tiny_backbone("resnet", stage_depths=(2,), stage_widths=(5,))
    x, y = (backbone.get_layer(name).output for name in ("stage1_block1_activation", "P2"))
    first, last = keras.Model(backbone.input, [x, y])(tiny_images("resnet"))
    np.testing.assert_array_equal(first, last)


def test_resnet_strides_stand_in_the_3x3_convolution():
    """v1.5: the first 1x1 convolution of a strided bottleneck still sees every pixel."""
    backbone = tiny_backbone("resnet")
    assert backbone.get_layer("stage2_block1_conv1").strides == (1, 1)
    assert backbone.get_layer("stage2_block1_conv2").strides == (2, 2)
