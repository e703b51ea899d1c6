"""ViT's idea, patches as words, and DINOv2's layer scale."""

import keras
import numpy as np

from tests.backbones.tiny import shuffled_patches, tiny_backbone, tiny_images


def test_vit_without_positions_does_not_see_the_order_of_its_patches():
    """Attention alone knows no positions: they come from the learned table."""
    backbone, pictures = tiny_backbone("vit"), tiny_images("vit")
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
    first, last = keras.Model(backbone.input, [tokens, after_blocks])(tiny_images("vit"))
    np.testing.assert_array_equal(first, last)
