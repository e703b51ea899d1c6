"""The heads that BERT is pretrained with."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from tests.backbones.tiny import TINY_TEXT, tiny_backbone, tiny_encoder, tiny_texts


def test_logits_are_products_with_the_encoders_own_table():
    encoder = tiny_encoder("bert")
    model = mt.masked_language_model(encoder, norm_epsilon=1e-3)
    for name in ("head_dense", "head_norm", "head_bias"):
        for weight in model.get_layer(name).weights:
            weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    dense, norm = model.get_layer("head_dense"), model.get_layer("head_norm")
    x = encoder(tiny_texts("bert")).numpy() @ dense.kernel.numpy() + dense.bias.numpy()
    x = keras.activations.gelu(x, approximate=False).numpy()
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-3)
    x = x * norm.gamma.numpy() + norm.beta.numpy()
    table = encoder.get_layer("token_embedding").embeddings.numpy()
    expected = x @ table.T + model.get_layer("head_bias").bias.numpy()
    np.testing.assert_allclose(model(tiny_texts("bert")), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", [name for name, tiny in TINY_TEXT.items() if not tiny.causal])
def test_logits_of_masked_positions_are_those_of_all_positions_there(architecture):
    encoder, texts = tiny_encoder(architecture), tiny_texts(architecture)
    everywhere, there = (mt.masked_language_model(encoder, masked_positions=given) for given in (False, True))
    there.set_weights(everywhere.get_weights())
    for positions in ([[6, 0], [3, 3], [1, 5]], [[2, 1, 4]] * 3):  # of any number
        expected = np.take_along_axis(everywhere(texts).numpy(), np.array(positions)[:, :, None], axis=1)
        np.testing.assert_allclose(
            there({**texts, "masked_positions": np.array(positions, "int32")}), expected, atol=1e-5
        )


def test_table_is_not_stored_twice():
    model = mt.masked_language_model(tiny_encoder("bert"))
    assert [weight.path for weight in model.weights if 23 in weight.shape] == [
        "token_embedding/embeddings",
        "head_bias/bias",
    ]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("architecture", [name for name, tiny in TINY_TEXT.items() if not tiny.causal])
def test_next_sentence_gives_its_outputs_by_name(architecture, policy):
    keras.config.set_dtype_policy(policy)
    model = mt.masked_language_model(tiny_encoder(architecture), next_sentence=True)
    outputs = model(tiny_texts(architecture))
    shapes = {"mlm_logits": (3, 7, 23), "nsp_logits": (3, 2)}
    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == shapes
    assert {tensor.dtype.name for tensor in outputs.values()} == {"float32"}


def test_next_sentence_is_read_from_the_tanh_of_the_first_token():
    encoder = tiny_encoder("bert")
    model = mt.masked_language_model(encoder, next_sentence=True)
    pooler, last = model.get_layer("pooler"), model.get_layer("next_sentence")
    first = encoder(tiny_texts("bert")).numpy()[:, 0]
    expected = np.tanh(first @ pooler.kernel.numpy() + pooler.bias.numpy()) @ last.kernel.numpy()
    np.testing.assert_allclose(model(tiny_texts("bert"))["nsp_logits"], expected, atol=1e-6)


def test_both_heads_train_together():
    model, texts = mt.masked_language_model(tiny_encoder("bert"), next_sentence=True), tiny_texts("bert")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), {"mlm_logits": loss, "nsp_logits": loss})
    labels = {"mlm_logits": texts["token_ids"], "nsp_logits": np.array([0, 1, 1])}
    losses = model.fit(texts, labels, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_dict_of_outputs_survives_a_keras_file(tmp_path):
    model, texts = mt.masked_language_model(tiny_encoder("bert"), next_sentence=True), tiny_texts("bert")
    model.save(tmp_path / "bert.keras")
    loaded = keras.models.load_model(tmp_path / "bert.keras")
    for name, output in loaded(texts).items():
        np.testing.assert_array_equal(output, model(texts)[name])


def test_a_backbone_that_reads_pictures_is_refused():
    with pytest.raises(ValueError, match=r"must continue a backbone that reads text, .*; given: vit"):
        mt.masked_language_model(tiny_backbone("vit"))


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"activation must be one of .*; given: 'tanhh'"):
        mt.masked_language_model(tiny_encoder("bert"), activation="tanhh")


@pytest.mark.parametrize("head", [mt.masked_language_model, mt.causal_language_model])
def test_what_is_no_model_is_refused(head):
    with pytest.raises(ValueError, match="backbone must be Model; given: 'gpt2'"):
        head("gpt2")
