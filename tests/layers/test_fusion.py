"""The softmax fusion of branches."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.fusion import softmax_fusion


def fused(branches, **arguments):
    """The fused map, the weights of the branches and the model, from three inputs of `[b, 4, 5, 6]`."""
    dtype = keras.config.dtype_policy().compute_dtype
    branches = [keras.ops.cast(branch, dtype) for branch in branches]
    inputs = [keras.Input((4, 5, 6), dtype=dtype) for _ in branches]
    output = softmax_fusion(inputs, 2, name="fusion", **arguments)
    model = keras.Model(inputs, output)
    for i, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(i).normal(size=weight.shape))
    weights = keras.Model(inputs, model.get_layer("fusion_softmax").output)(branches).numpy()
    return model(branches).numpy(), weights, model


def maps(batch=2):
    return [np.random.default_rng(i).normal(size=(batch, 4, 5, 6)).astype("float32") for i in range(3)]


def test_weights_of_a_channel_add_up_to_one_and_weigh_the_branches():
    branches = maps()
    y, weights, _ = fused(branches)
    assert weights.shape == (2, 6, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    assert weights.std(axis=0).max() > 0.01  # each picture has its own
    expected = sum(branch * weights[:, None, None, :, i] for i, branch in enumerate(branches))
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_weights_come_from_the_mean_of_all_branches_and_know_no_place():
    branches = maps()
    _, weights, _ = fused(branches)
    _, moved, _ = fused([branch[:, ::-1, ::-1] for branch in branches])
    np.testing.assert_allclose(moved, weights, atol=1e-5)
    _, exchanged, _ = fused(branches[::-1])
    np.testing.assert_allclose(exchanged, weights, atol=1e-5)


@pytest.mark.parametrize("branch_axis", [-1, 1])
def test_place_of_the_branches_in_the_last_layer(branch_axis):
    branches = maps()
    y, _, model = fused(branches, branch_axis=branch_axis)
    second = np.full((6, 3) if branch_axis == -1 else (3, 6), -30.0)
    second[(slice(None), 1) if branch_axis == -1 else 1] = 30.0
    model.get_layer("fusion_fc2").kernel.assign(np.zeros((2, 18)))
    model.get_layer("fusion_fc2").bias.assign(second.reshape(-1))
    np.testing.assert_allclose(model(branches), branches[1], atol=1e-5)
    assert np.abs(y - branches[1]).max() > 0.1


def test_without_biases_and_with_a_sum():
    branches = maps()
    _, _, model = fused(branches, pool=keras.ops.sum, use_bias=False)
    assert [tuple(weight.shape) for weight in model.weights] == [(6, 2), (2, 18)]


def test_bfloat16_policy_pools_and_weighs_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    branches = [branch + 100 for branch in maps()]
    _, weights, model = fused(branches)
    assert model.output.dtype == "bfloat16"
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
