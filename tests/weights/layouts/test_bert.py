"""BERT's files, in all the ways in which they are spelled."""

import re

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.weights import WeightsMismatch, load_weights, save_weights
from mixer_tf.weights.files import read_checkpoint
from mixer_tf.weights.layouts.bert import HUGGINGFACE
from tests.weights.small_models import bert, bert_with_heads, random_arrays

TABLE = "bert.embeddings.word_embeddings.weight"
HEADS = r"cls\.|bert\.pooler"


@pytest.fixture
def pretraining():
    """What `BertForPreTraining` saves."""
    arrays = random_arrays(bert_with_heads(), "bert", "huggingface")
    repeated = {"decoder.weight": arrays[TABLE], "decoder.bias": arrays["cls.predictions.bias"]}
    return arrays | {f"cls.predictions.{name}": array for name, array in repeated.items()}


def test_a_model_with_both_heads_takes_the_whole_file_and_gives_it_back(tmp_path, pretraining):
    model = bert_with_heads()
    report = load_weights(model, pretraining)
    assert report.skipped == report.kept == ()
    assert report.preprocessing is None
    saved = read_checkpoint(save_weights(model, tmp_path / "bert.safetensors", layout="huggingface")).arrays
    assert saved.keys() == pretraining.keys()
    assert all(saved[name].tobytes() == array.tobytes() for name, array in pretraining.items())


def test_a_bare_encoder_leaves_the_heads_out(tmp_path, pretraining):
    encoder = bert()
    with pytest.raises(WeightsMismatch, match="skip_head=True keeps the model's head, or none") as caught:
        load_weights(encoder, pretraining)
    assert all(re.match(HEADS, name) for name in caught.value.extra)
    report = load_weights(encoder, pretraining, skip_head=True)
    assert len(report.skipped) == 9
    assert all(re.match(HEADS, name) for name in report.skipped)
    np.testing.assert_array_equal(encoder.get_layer("token_embedding").embeddings, pretraining[TABLE])
    saved = read_checkpoint(save_weights(encoder, tmp_path / "bert.npz", layout="huggingface")).arrays
    assert not any(re.match(HEADS, name) for name in saved)


def test_a_masked_language_model_leaves_the_second_head_out(pretraining):
    model = mt.masked_language_model(bert())
    report = load_weights(model, pretraining, skip_head=True)
    second = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert set(report.skipped) == second | {"cls.seq_relationship.weight", "cls.seq_relationship.bias"}
    np.testing.assert_array_equal(model.get_layer("head_bias").bias, pretraining["cls.predictions.bias"])


def test_an_encoders_file_leaves_the_heads_as_they_are(pretraining):
    """`BertModel` saves no prefix and a pooler."""
    file = {name.removeprefix("bert."): array for name, array in pretraining.items() if name.startswith("bert.")}
    report = load_weights(bert_with_heads(), file, skip_head=True)
    assert all(name.startswith("cls.") for name in report.kept)
    assert len(report.kept) == 7


def old(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def test_old_files_load_as_well(pretraining):
    file = {old(name): array for name, array in pretraining.items()}
    file["bert.embeddings.position_ids"] = np.arange(11)[None]
    for alias in ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias"):
        del file[alias]
    assert "bert.encoder.layer.1.output.LayerNorm.gamma" in file
    model = bert_with_heads()
    assert load_weights(model, file).skipped == ("bert.embeddings.position_ids",)
    norm = model.get_layer("block1_norm2").gamma
    np.testing.assert_array_equal(norm, pretraining["bert.encoder.layer.1.output.LayerNorm.weight"])


GENERATIONS = {"new": lambda name: name, "old": old}
MODELS = {
    "encoder": bert,
    "masked language model": lambda: mt.masked_language_model(bert()),
    "masked language model with next sentence": bert_with_heads,
}


@pytest.mark.parametrize("prefix", ["bert.", ""])
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", MODELS)
def test_every_spelling_loads_into_every_model(pretraining, kind, generation, prefix):
    """With the arrays that a model does not have left out, and strictly: nothing else may be missing or left over."""
    model = MODELS[kind]()
    wanted = [name for binding in HUGGINGFACE.bind(model) for name in binding.names]
    spelled = {name: GENERATIONS[generation](re.sub(r"^bert\.", prefix, name)) for name in wanted}
    file = {new: pretraining[name] for name, new in spelled.items()}
    file[f"{prefix}embeddings.position_ids"] = np.arange(11)[None]
    report = load_weights(model, file)
    assert (report.skipped, report.kept) == (("bert.embeddings.position_ids",), ())
    for binding in HUGGINGFACE.bind(model):
        for name, array in zip(binding.names, binding.to_arrays(), strict=True):
            np.testing.assert_array_equal(array, pretraining[name], err_msg=name)
    for name in spelled.values():
        with pytest.raises(WeightsMismatch) as caught:
            load_weights(model, {other: array for other, array in file.items() if other != name})
        assert len(caught.value.missing) == 1
        assert caught.value.extra == ()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", MODELS)
def test_pooler_and_heads_may_be_absent_when_the_caller_says_so(pretraining, kind, generation):
    file = {GENERATIONS[generation](name): array for name, array in pretraining.items() if not re.match(HEADS, name)}
    model = MODELS[kind]()
    if kind != "encoder":
        with pytest.raises(WeightsMismatch, match="skip_head=True keeps the model's head"):
            load_weights(model, file)
    report = load_weights(model, file, skip_head=True)
    assert all(re.match(HEADS, name) for name in report.kept)
    assert len(report.kept) == {"encoder": 0, "masked language model": 5}.get(kind, 9)


def test_a_head_whose_table_is_its_own_is_refused(pretraining):
    pretraining["cls.predictions.decoder.weight"] = pretraining[TABLE] + 1
    with pytest.raises(
        ValueError, match=r"decoder\.weight must repeat bert\.embeddings\.word_embeddings\.weight, which"
    ):
        load_weights(bert_with_heads(), pretraining)


def test_a_shorter_text_takes_the_same_file(pretraining):
    assert load_weights(bert_with_heads(sequence_length=3), pretraining).skipped == ()


def test_another_number_of_positions_is_refused(pretraining):
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(bert_with_heads(max_positions=9), pretraining)
    assert caught.value.misshapen == {"bert.embeddings.position_embeddings.weight": ((11, 12), (9, 12))}


def test_a_keras_file(tmp_path, pretraining):
    model, other = bert_with_heads(), bert_with_heads()
    load_weights(model, pretraining)
    model.save(tmp_path / "bert.keras")
    report = load_weights(other, tmp_path / "bert.keras")
    assert (report.architecture, report.layout) == ("bert", "mixer_tf")
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    encoder = bert()
    load_weights(encoder, tmp_path / "bert.keras", skip_head=True)
    table = keras.ops.convert_to_numpy(encoder.get_layer("token_embedding").embeddings)
    np.testing.assert_array_equal(table, pretraining[TABLE])
