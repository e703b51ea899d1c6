"""EAMLP: a memory that all pictures share, and overlapping windows as tokens."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.positions import sinusoid_table
from mixer_tf.weights import WeightsMismatch, load_weights
from tests.backbones.tiny import tiny_backbone
from tests.weights.small_models import eamlp, random_arrays


def images(batch=2, shape=(32, 48, 3)):
    return np.random.default_rng(1).normal(size=(batch, *shape)).astype("float32")


def test_no_weight_depends_on_the_number_of_tokens():
    """Only the fixed positions do, so one memory serves pictures of any size."""
    first, second = tiny_backbone("eamlp"), tiny_backbone("eamlp", image_shape=(48, 64, 3))
    sizes = [{w.path: w.shape for w in backbone.weights} for backbone in (first, second)]
    assert {path for path in sizes[0] if sizes[0][path] != sizes[1][path]} == {"position_embedding/table"}


def test_attention_of_tokens_is_blind_to_their_order():
    """Without positions, the blocks give permuted tokens for permuted tokens."""
    backbone = tiny_backbone("eamlp")
    blocks = keras.Model(backbone.get_layer("position_embedding").output, backbone.get_layer("norm").output)
    tokens = np.random.default_rng(2).normal(size=(2, 7, 12)).astype("float32")
    order = [4, 0, 6, 2, 1, 5, 3]
    np.testing.assert_allclose(blocks(tokens[:, order]).numpy(), blocks(tokens).numpy()[:, order], atol=1e-5)


def test_windows_of_the_stem_overlap():
    """The first block's window is 7 pixels wide at stride 4: pixel 4 lies in two of them."""
    backbone = tiny_backbone("eamlp")
    query = keras.Model(backbone.input, backbone.get_layer("stem_block1_query").output)
    pictures = images(1)
    changed = pictures.copy()
    changed[:, 4, 4] += 1
    difference = np.abs(query(pictures).numpy() - query(changed).numpy()).reshape(8, 12, -1).max(axis=-1)
    assert sorted(map(tuple, np.argwhere(difference > 0))) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_fixed_positions_are_computed_anew_for_another_image_size():
    arrays = random_arrays(eamlp((48, 48, 3)), "eamlp", "authors")
    arrays["pos_embed"] = sinusoid_table(10, 12)[None]
    model = eamlp((32, 64, 3))
    assert load_weights(model, arrays).resized == ("pos_embed 3x3 -> 2x4",)
    np.testing.assert_array_equal(model.get_layer("position_embedding").table[0], sinusoid_table(9, 12))


def test_other_numbers_in_the_place_of_the_fixed_positions_are_not_replaced():
    arrays = random_arrays(eamlp((48, 48, 3)), "eamlp", "authors")
    with pytest.raises(WeightsMismatch, match="pos_embed"):
        load_weights(eamlp((32, 64, 3)), arrays)


def test_windows_come_in_the_order_of_the_reference():
    """In PyTorch a window's entries are ordered by channel, row and column."""
    model = eamlp()
    arrays = random_arrays(model, "eamlp", "authors_t")
    load_weights(model, arrays)
    theirs = arrays["tokens_to_token.attention1.attn.q_linear.weight"].reshape(5, 3, 7, 7)
    ours = model.get_layer("stem_block1_query").kernel.numpy().reshape(7, 7, 3, 5)
    np.testing.assert_array_equal(ours, theirs.transpose(2, 3, 1, 0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image_shape": (40, 48, 3)}, r"must be divisible by the stem's stride 16; nearest: \(32, 48, 3\)"),
        ({"num_heads": 5}, "num_heads must divide the 12 channels; given: 5"),
        ({"stem_dropout": 1.0}, r"stem_dropout must be in \[0, 1\); given: 1.0"),
        ({"memory_units": 0}, "memory_units must be at least 1; given: 0"),
    ],
)
def test_wrong_values_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("eamlp", **arguments)
