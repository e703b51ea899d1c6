"""Mixers of text: why they need no table of positions, and what their length means."""

import numpy as np
import pytest

from tests.backbones.tiny import tiny_backbone, tiny_encoder, tiny_texts

every_mlp = pytest.mark.parametrize("architecture", ["mlp_mixer_text", "resmlp_text", "gmlp_text"])


@every_mlp
def test_the_order_of_the_words_counts_without_a_table_of_positions(architecture):
    """Every position has weights of its own in the token mixing."""
    encoder, texts, order = tiny_encoder(architecture), tiny_texts(architecture), [3, 0, 6, 1, 5, 2, 4]
    assert "position_embedding" not in {layer.name for layer in encoder.layers}
    texts["padding_mask"][:] = 1
    for weight in encoder.weights:
        weight.assign(np.random.default_rng(7).normal(scale=0.5, size=weight.shape))
    shuffled = {name: ids[:, order] for name, ids in texts.items()}
    assert np.abs(encoder(shuffled).numpy() - encoder(texts).numpy()[:, order]).max() > 0.1


@every_mlp
def test_a_text_of_another_length_is_refused(architecture):
    texts = {name: ids[:, :5] for name, ids in tiny_texts(architecture).items()}
    with pytest.raises(ValueError, match=r"expected shape=\(None, 7\)|incompatible"):
        tiny_encoder(architecture)(texts)


def test_half_of_a_gmlp_gates_the_other_half():
    with pytest.raises(ValueError, match="ffn_dim must be even, as one half gates the other; given: 15; nearest: 16"):
        tiny_encoder("gmlp_text", ffn_dim=15)


def test_a_text_mixer_has_the_blocks_of_the_mixer_for_pictures():
    """Padding aside, it is the same network: a picture of 7 patches and a text of 7 tokens meet the same block."""
    picture = tiny_backbone("mlp_mixer", image_shape=(8, 56, 3), hidden_dim=12, tokens_mlp_dim=9, channels_mlp_dim=14)
    of_blocks = [
        [(weight.path, tuple(weight.shape)) for weight in model.weights if weight.path.startswith("block")]
        for model in (picture, tiny_encoder("mlp_mixer_text"))
    ]
    assert of_blocks[0] == of_blocks[1]
