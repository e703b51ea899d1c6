"""What must hold for every backbone that reads text, on its tiny form."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.backbones import ARCHITECTURES
from mixer_tf.training.optimizers import create_optimizer
from tests.backbones.tiny import TINY_TEXT, tiny_encoder, tiny_language_model, tiny_texts

every_architecture = pytest.mark.parametrize("architecture", TINY_TEXT)


def with_random_weights(model):
    """The model with biases and scales that are not at their start, where some of them do nothing."""
    random = np.random.default_rng(7)
    for weight in model.weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return model


def changed(texts, where):
    """The texts with another token, and another segment, wherever `where` is true."""
    modulo = {"token_ids": 23, "segment_ids": 4}
    return {
        name: np.where(where, (ids + 1) % modulo[name], ids) if name in modulo else ids for name, ids in texts.items()
    }


@every_architecture
def test_output_has_a_vector_for_every_token(architecture):
    encoder = tiny_encoder(architecture)
    assert encoder.output.shape == (None, 7, 12)
    assert encoder(tiny_texts(architecture)).shape == (3, 7, 12)
    assert {tensor.dtype for tensor in encoder.inputs} == {"int32"}


@every_architecture
def test_texts_may_be_given_by_name_or_in_the_order_of_the_inputs(architecture):
    encoder, texts = tiny_encoder(architecture), tiny_texts(architecture)
    ordered = [texts[tensor.name] for tensor in encoder.inputs]
    np.testing.assert_array_equal(keras.Model(encoder.inputs, encoder.output)(ordered), encoder(texts))


def test_every_text_architecture_has_a_tiny_form():
    reading_text = {
        name for name, (_, variants) in ARCHITECTURES.items() if mt.list_backbones(min(variants), reads="text")
    }
    assert reading_text == set(TINY_TEXT)


@every_architecture
def test_graph_is_flat(architecture):
    assert not any(isinstance(layer, keras.Model) for layer in tiny_language_model(architecture).layers)


@every_architecture
def test_weights_have_the_same_names_however_often_the_model_is_built(architecture):
    first, second = ([weight.path for weight in tiny_language_model(architecture).weights] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)
    assert all(path.count("/") == 1 for path in first)


@every_architecture
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_what_stands_at_padded_positions_does_not_reach_the_real_tokens(architecture, policy):
    keras.config.set_dtype_policy(policy)
    encoder, texts = with_random_weights(tiny_encoder(architecture)), tiny_texts(architecture)
    real = texts["padding_mask"].astype(bool)
    before, after = encoder(texts).numpy(), encoder(changed(texts, ~real)).numpy()
    assert np.isfinite(before.astype("float32")).all()
    np.testing.assert_array_equal(after[real], before[real])
    assert (after[~real] != before[~real]).any(axis=-1).all()


@every_architecture
def test_tokens_see_each_other_unless_they_come_later_in_a_causal_model(architecture):
    encoder, texts = with_random_weights(tiny_encoder(architecture)), tiny_texts(architecture)
    differs = (encoder(changed(texts, np.arange(7) == 3)).numpy() != encoder(texts).numpy()).any(axis=-1)
    assert differs[0].tolist() == ([False] * 3 if TINY_TEXT[architecture].causal else [True] * 3) + [True] * 4


@every_architecture
def test_a_text_of_padding_alone_gives_finite_numbers(architecture):
    encoder, texts = with_random_weights(tiny_encoder(architecture)), tiny_texts(architecture)
    texts["padding_mask"][1] = 0
    assert np.isfinite(encoder(texts)).all()


@every_architecture
def test_one_text_gives_the_same_row_as_in_a_batch(architecture):
    model, texts = tiny_language_model(architecture), tiny_texts(architecture)
    one = {name: ids[1:2] for name, ids in texts.items()}
    np.testing.assert_allclose(model(one)[0], model(texts)[1], atol=1e-5)


@every_architecture
def test_bfloat16_policy_gives_float32_logits_near_the_float32_ones(architecture):
    model, texts = tiny_language_model(architecture), tiny_texts(architecture)
    keras.config.set_dtype_policy("mixed_bfloat16")
    low_precision = tiny_language_model(architecture)
    low_precision.set_weights(model.get_weights())
    logits = low_precision(texts)
    assert logits.dtype == low_precision.output.dtype == "float32"
    np.testing.assert_allclose(logits, model(texts), atol=0.05)


@every_architecture
def test_a_gradient_reaches_every_weight_with_drop_path_and_dropout(architecture):
    model = tiny_language_model(architecture, **TINY_TEXT[architecture].to_train)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tiny_texts(architecture, batch=5), training=True)[..., 0] ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if variable.path.endswith(TINY_TEXT[architecture].unreached):
            continue
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


LOAD_AND_TRAIN = """
import sys
import keras, numpy as np
import mixer_tf

keras.utils.set_random_seed(3)
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    data = dict(np.load(path + ".npz"))
    labels, before, after = (data.pop(name) for name in ("labels", "before", "after"))
    np.testing.assert_allclose(model.predict(data, verbose=0), before, rtol=1e-4, atol=1e-5)
    model.fit(data, labels, batch_size=3, epochs=1, verbose=0)
    np.testing.assert_allclose(model.predict(data, verbose=0), after, rtol=1e-4, atol=1e-5)
    print("equal", path)
"""


def compiled(model):
    """The model, ready to train with the rules of the recipes; not Adam, which blows up rounding noise."""
    optimizer = create_optimizer("sgd", learning_rate=1e-2, weight_decay=0.1, ema=0.9)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_keras_file_loads_in_a_new_process_and_goes_on_training(tmp_path):
    labels, paths = np.random.default_rng(2).integers(0, 23, (3, 7)), []
    for architecture in TINY_TEXT:
        model, texts = compiled(tiny_language_model(architecture)), tiny_texts(architecture)
        model.fit(texts, labels, batch_size=3, epochs=2, verbose=0)
        path = str(tmp_path / f"{architecture}.keras")
        model.save(path)
        before = model.predict(texts, verbose=0)
        model.fit(texts, labels, batch_size=3, epochs=1, verbose=0)
        np.savez(f"{path}.npz", labels=labels, before=before, after=model.predict(texts, verbose=0), **texts)
        paths.append(path)
    process = subprocess.run(
        [sys.executable, "-c", LOAD_AND_TRAIN, *paths], capture_output=True, text=True, check=False
    )
    assert process.stdout.count("equal") == len(TINY_TEXT), process.stderr


@pytest.mark.parametrize("architecture", ["bert", "gmlp_text"])  # with tables that get sparse gradients, and without
def test_encoders_train_with_the_rules_of_adamw(architecture):
    model, texts = tiny_language_model(architecture), tiny_texts(architecture)
    rules = {"weight_decay": 0.01, "layer_decay": 0.9, "clip_norm": 1.0, "ema": 0.9}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(create_optimizer("adamw", learning_rate=0.01, **rules), loss)
    losses = model.fit(texts, texts["token_ids"], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@every_architecture
def test_builder_refuses_an_unknown_activation(architecture):
    with pytest.raises(ValueError, match="activation must be one of gelu, gelu_tanh, relu, silu; given: 'tanhh'"):
        tiny_encoder(architecture, activation="tanhh")


@pytest.mark.parametrize(
    "architecture", [name for name, tiny in TINY_TEXT.items() if "max_positions" in tiny.arguments]
)
def test_text_longer_than_the_table_of_positions_is_refused(architecture):
    with pytest.raises(ValueError, match="sequence_length must be at most max_positions 11; given: 12"):
        tiny_encoder(architecture, sequence_length=12)
    assert tiny_encoder(architecture, sequence_length=11).output.shape == (None, 11, 12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_heads": 5}, "num_heads must divide hidden_dim; given: num_heads 5, hidden_dim 12"),
        ({"vocab_size": 0}, "vocab_size must be at least 1; given: 0"),
        ({"sequence_length": "7"}, "sequence_length must be int; given: '7'"),
        ({"attention_dropout": 1.5}, r"attention_dropout must be in \[0, 1\); given: 1.5"),
        ({"image_shape": (8, 8, 3)}, "bert reads text and takes no image_shape; given: .*; give sequence_length"),
    ],
)
def test_wrong_value_of_an_argument_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_encoder("bert", **arguments)
