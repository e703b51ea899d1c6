"""The ideas of BERT."""

import keras
import numpy as np

from tests.backbones.tiny import tiny_encoder, tiny_texts


def whole_texts():
    texts = tiny_texts("bert")
    return {**texts, "padding_mask": np.ones_like(texts["padding_mask"])}


def test_without_positions_a_text_is_a_set_of_words():
    """Attention alone knows no positions: they come from the learned table."""
    encoder, texts, order = tiny_encoder("bert"), whole_texts(), [3, 0, 6, 1, 5, 2, 4]
    shuffled = {name: ids[:, order] for name, ids in texts.items()}
    positions = encoder.get_layer("position_embedding").table

    def gap():
        return np.abs(encoder(shuffled).numpy() - encoder(texts).numpy()[:, order]).max()

    assert gap() > 1e-3
    positions.assign(np.zeros(positions.shape))
    assert gap() < 1e-5


def test_the_two_sentences_of_a_pair_have_vectors_of_their_own():
    encoder, texts = tiny_encoder("bert"), whole_texts()
    other = {**texts, "segment_ids": 3 - texts["segment_ids"]}
    assert np.abs(encoder(other).numpy() - encoder(texts).numpy()).max() > 1e-3
    table = encoder.get_layer("segment_embedding").embeddings
    table.assign(np.broadcast_to(table[:1], table.shape))
    np.testing.assert_array_equal(encoder(other), encoder(texts))


def test_norms_stand_after_the_residuals():
    """So every token leaves a block with mean 0 and variance 1 over its channels."""
    encoder = tiny_encoder("bert")
    blocks = [encoder.get_layer(f"block{i}_norm{n}").output for i in (0, 1) for n in (1, 2)]
    for x in keras.Model(encoder.input, blocks)(whole_texts()):
        np.testing.assert_allclose(x.numpy().mean(axis=-1), 0, atol=1e-5)
        np.testing.assert_allclose(x.numpy().std(axis=-1), 1, atol=1e-4)
