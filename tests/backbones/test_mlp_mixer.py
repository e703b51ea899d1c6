"""The Mixer's idea: one MLP over the tokens, one over the channels."""

import numpy as np

from tests.backbones.tiny import shuffled_patches, tiny_backbone, tiny_images


def test_mixer_with_patches_and_token_weights_permuted_alike_only_permutes_its_output():
    """The Mixer knows no positions but those in its token-mixing weights."""
    backbone, pictures = tiny_backbone("mlp_mixer"), tiny_images("mlp_mixer")
    before = backbone(pictures).numpy().reshape(3, 15, 10)
    order = np.random.default_rng(3).permutation(15)
    for i in range(2):
        first, last = (backbone.get_layer(f"block{i}_token_mixing_fc{n}") for n in (1, 2))
        first.kernel.assign(first.kernel.numpy()[order])
        last.kernel.assign(last.kernel.numpy()[:, order])
    after = backbone(shuffled_patches(pictures, order)).numpy().reshape(3, 15, 10)
    np.testing.assert_allclose(after, before[:, order], atol=1e-5)
