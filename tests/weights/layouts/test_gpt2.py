"""GPT-2's files, in all the ways in which they are spelled."""

import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.weights import WeightsMismatch, load_weights, save_weights
from mixer_tf.weights.files import read_checkpoint
from mixer_tf.weights.layouts.gpt2 import HUGGINGFACE
from tests.weights.small_models import gpt2, random_arrays


@pytest.fixture
def decoder_arrays():
    """What `GPT2LMHeadModel` saves."""
    arrays = random_arrays(mt.causal_language_model(gpt2()), "gpt2", "huggingface")
    return arrays | {"lm_head.weight": arrays["transformer.wte.weight"]}


def test_gpt2_takes_its_file_and_gives_it_back(tmp_path, decoder_arrays):
    model = mt.causal_language_model(gpt2())
    assert load_weights(model, decoder_arrays).skipped == ()
    saved = read_checkpoint(save_weights(model, tmp_path / "gpt2.safetensors", layout="huggingface")).arrays
    assert saved.keys() == decoder_arrays.keys()
    assert all(saved[name].tobytes() == array.tobytes() for name, array in decoder_arrays.items())


@pytest.mark.parametrize("build", [gpt2, lambda: mt.causal_language_model(gpt2())])
def test_published_files_of_gpt2_have_no_prefix_no_head_and_masks(decoder_arrays, build):
    file = {name.removeprefix("transformer."): array for name, array in decoder_arrays.items() if name[0] == "t"}
    masks = {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, 11, 11), np.float32)) for i in range(2)}
    masks["h.1.attn.masked_bias"] = np.float32(-1e4)
    model = build()
    report = load_weights(model, {**file, **masks})
    assert report.skipped == tuple(f"transformer.{name}" for name in masks)
    np.testing.assert_array_equal(model.get_layer("block1_mlp_fc1").kernel, file["h.1.mlp.c_fc.weight"])


def test_a_bare_decoder_takes_a_file_with_a_head_and_saves_none(tmp_path, decoder_arrays):
    decoder = gpt2()
    load_weights(decoder, decoder_arrays)
    saved = read_checkpoint(save_weights(decoder, tmp_path / "gpt2.npz", layout="huggingface")).arrays
    assert saved.keys() == decoder_arrays.keys() - {"lm_head.weight"}


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("prefix", ["transformer.", ""])
@pytest.mark.parametrize("build", [gpt2, lambda: mt.causal_language_model(gpt2())])
def test_every_spelling_loads_strictly(decoder_arrays, build, prefix, masks, head):
    arrays = {name: array for name, array in decoder_arrays.items() if head or name != "lm_head.weight"}
    file = {name.replace("transformer.", prefix): array for name, array in arrays.items()}
    if masks:
        file |= {f"{prefix}h.{i}.attn.bias": np.tril(np.ones((1, 1, 11, 11), np.float32)) for i in range(2)}
        file |= {f"{prefix}h.{i}.attn.masked_bias": np.float32(-1e4) for i in range(2)}
    model = build()
    report = load_weights(model, file)
    assert len(report.skipped) == (4 if masks else 0)
    assert report.kept == ()
    for binding in HUGGINGFACE.bind(model):
        np.testing.assert_array_equal(binding.to_arrays()[0], decoder_arrays[binding.names[0]])
    dispensable = (
        "attn.bias",
        "masked_bias",
        "lm_head.weight",
        *(["wte.weight"] if head else []),
    )  # the head is the table
    for name in file:
        if not name.endswith(dispensable):
            with pytest.raises(WeightsMismatch) as caught:
                load_weights(model, {other: array for other, array in file.items() if other != name})
            assert len(caught.value.missing) == 1
