"""One test of each paper's own idea."""

import keras
import numpy as np

from tests.backbones.tiny import tiny_backbone


def images(batch=3, shape=(24, 40, 3)):
    return np.random.default_rng(2).normal(size=(batch, *shape)).astype("float32")


def shuffled_patches(pictures, order, patch=8):
    b, height, width, c = pictures.shape
    patches = pictures.reshape(b, height // patch, patch, width // patch, patch, c).transpose(0, 1, 3, 2, 4, 5)
    patches = patches.reshape(b, -1, patch, patch, c)[:, order]
    patches = patches.reshape(b, height // patch, width // patch, patch, patch, c).transpose(0, 1, 3, 2, 4, 5)
    return patches.reshape(pictures.shape)


def test_mixer_with_patches_and_token_weights_permuted_alike_only_permutes_its_output():
    """The Mixer knows no positions but those in its token-mixing weights."""
    backbone, pictures = tiny_backbone("mlp_mixer"), images()
    before = backbone(pictures).numpy().reshape(3, 15, 10)
    order = np.random.default_rng(3).permutation(15)
    for i in range(2):
        first, last = (backbone.get_layer(f"block{i}_token_mixing_fc{n}") for n in (1, 2))
        first.kernel.assign(first.kernel.numpy()[order])
        last.kernel.assign(last.kernel.numpy()[:, order])
    after = backbone(shuffled_patches(pictures, order)).numpy().reshape(3, 15, 10)
    np.testing.assert_allclose(after, before[:, order], atol=1e-5)


def test_vit_without_positions_does_not_see_the_order_of_its_patches():
    """Attention alone knows no positions: they come from the learned table."""
    backbone, pictures = tiny_backbone("vit"), images()
    order = np.random.default_rng(3).permutation(15)
    positions = backbone.get_layer("position_embedding").table

    def gap():
        ordered = backbone(pictures).numpy().reshape(3, 15, 12)
        shuffled = backbone(shuffled_patches(pictures, order)).numpy().reshape(3, 15, 12)
        return np.abs(shuffled - ordered[:, order]).max()

    assert gap() > 1e-3
    positions.assign(np.zeros(positions.shape))
    assert gap() < 1e-5


def test_dinov2_block_with_zero_layer_scale_is_the_identity():
    """The scale stands on the branch, not on the trunk."""
    backbone = tiny_backbone("vit", layer_scale=0)
    tokens = backbone.get_layer("position_embedding").output
    after_blocks = backbone.get_layer("block1_mlp_add").output
    first, last = keras.Model(backbone.input, [tokens, after_blocks])(images())
    np.testing.assert_array_equal(first, last)


def test_resnet_starts_with_branches_that_add_nothing():
    """With the last scale at zero, a block without a shortcut convolution passes on what it gets."""
    backbone = tiny_backbone("resnet", stage_depths=(2,), stage_widths=(5,))
    x, y = (backbone.get_layer(name).output for name in ("stage1_block1_activation", "P2"))
    first, last = keras.Model(backbone.input, [x, y])(images())
    np.testing.assert_array_equal(first, last)


def test_resnet_strides_stand_in_the_3x3_convolution():
    """v1.5: the first 1x1 convolution of a strided bottleneck still sees every pixel."""
    backbone = tiny_backbone("resnet")
    assert backbone.get_layer("stage2_block1_conv1").strides == (1, 1)
    assert backbone.get_layer("stage2_block1_conv2").strides == (2, 2)
