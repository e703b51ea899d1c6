"""The ideas of GPT-2."""

import keras
import numpy as np
import pytest

from tests.backbones.tiny import tiny_encoder, tiny_language_model, tiny_texts


def test_the_future_does_not_change_the_past():
    model, texts = tiny_language_model("gpt2"), tiny_texts("gpt2")
    texts["padding_mask"][:] = 1
    before = model(texts).numpy()
    for first in range(1, 7):
        later = np.where(np.arange(7) >= first, (texts["token_ids"] + 5) % 23, texts["token_ids"])
        after = model({**texts, "token_ids": later}).numpy()
        np.testing.assert_array_equal(after[:, :first], before[:, :first])
        assert (after[:, first] != before[:, first]).any(axis=-1).all()


def test_attention_looks_back_only_and_never_at_padding():
    decoder, texts = tiny_encoder("gpt2"), tiny_texts("gpt2")
    maps = keras.Model(decoder.input, decoder.get_layer("block1_attention_softmax").output)(texts).numpy()
    allowed = np.tril(np.ones((7, 7))) * texts["padding_mask"][:, None, None, :]
    assert (maps[np.broadcast_to(allowed == 0, maps.shape)] == 0).all()
    assert (maps[np.broadcast_to(allowed == 1, maps.shape)] > 0).all()


def test_branches_that_end_on_the_trunk_start_smaller_the_deeper_the_network():
    for depth, expected in ((2, 0.02 / 2), (8, 0.02 / 4)):
        decoder = tiny_encoder("gpt2", num_blocks=depth, hidden_dim=48, mlp_dim=192)
        for layer in ("block0_mlp_fc2", "block1_attention_projection"):
            assert decoder.get_layer(layer).kernel.numpy().std() == pytest.approx(expected, rel=0.05)
        assert decoder.get_layer("block0_mlp_fc1").kernel.numpy().std() == pytest.approx(0.02, rel=0.05)
