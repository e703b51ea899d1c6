"""The head that GPT-2 is trained with."""

import numpy as np
import pytest

import mixer_tf as mt
from tests.backbones.tiny import tiny_backbone, tiny_encoder, tiny_texts


def test_logits_are_products_with_the_decoders_own_table_and_nothing_is_added():
    decoder = tiny_encoder("gpt2")
    model = mt.causal_language_model(decoder)
    assert [weight.path for weight in model.weights] == [weight.path for weight in decoder.weights]
    table = decoder.get_layer("token_embedding").embeddings.numpy()
    expected = decoder(tiny_texts("gpt2")).numpy() @ table.T
    np.testing.assert_allclose(model(tiny_texts("gpt2")), expected, atol=1e-5)


def test_an_encoder_that_sees_the_future_is_refused():
    with pytest.raises(
        ValueError, match=r"must continue a causal decoder, such as gpt2; given: bert, whose tokens see"
    ):
        mt.causal_language_model(tiny_encoder("bert"))


def test_a_backbone_that_reads_pictures_is_refused():
    with pytest.raises(ValueError, match=r"must continue a backbone that reads text, .*; given: vit"):
        mt.causal_language_model(tiny_backbone("vit"))
