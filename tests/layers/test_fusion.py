"""The softmax fusion, against the same in numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.fusion import softmax_fusion


def fusion(dtype="float32", **arguments):
    branches = [keras.Input((4, 6, 5), dtype=dtype) for _ in range(3)]
    return keras.Model(branches, softmax_fusion(branches, 7, name="fusion", **arguments))


def maps(scale=1.0):
    return list((scale * np.random.default_rng(0).normal(size=(3, 2, 4, 6, 5))).astype("float32"))


@pytest.mark.parametrize(("pool", "mean"), [(keras.ops.mean, True), (keras.ops.sum, False)])
@pytest.mark.parametrize(("branch_axis", "order"), [(-1, (0, 1, 2)), (1, (0, 2, 1))])
@pytest.mark.parametrize("use_bias", [True, False])
def test_each_branch_counts_as_the_softmax_says(pool, mean, branch_axis, order, use_bias):
    model = fusion(pool=pool, branch_axis=branch_axis, use_bias=use_bias, kernel_initializer="random_normal")
    fc1, fc2 = model.get_layer("fusion_fc1"), model.get_layer("fusion_fc2")
    assert fc1.use_bias is fc2.use_bias is use_bias
    for variable in model.weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape) / 8)
    h, w, c = maps()
    pooled = (h + w + c).mean(axis=(1, 2)) if mean else (h + w + c).sum(axis=(1, 2))
    hidden = tf.nn.gelu(pooled @ fc1.kernel.numpy() + (fc1.bias.numpy() if use_bias else 0), approximate=False)
    logits = hidden.numpy() @ fc2.kernel.numpy() + (fc2.bias.numpy() if use_bias else 0)
    shape = (2, 5, 3) if branch_axis == -1 else (2, 3, 5)
    weights = tf.nn.softmax(logits.reshape(shape).transpose(0, *order[1:]), axis=2).numpy()  # [b, c, branches]
    expected = sum(branch * weights[:, None, None, :, i] for i, branch in enumerate((h, w, c)))
    np.testing.assert_allclose(model([h, w, c]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("branch_axis", [-1, 1])
def test_weights_of_the_branches_add_up_to_one(branch_axis):
    model = fusion(branch_axis=branch_axis)
    weights = keras.Model(model.inputs, model.get_layer("fusion_softmax").output)(maps()).numpy()
    np.testing.assert_allclose(weights.sum(axis=branch_axis), np.ones((2, 5)), rtol=1e-6)
    same = maps()[:1] * 3
    np.testing.assert_allclose(model(same), same[0], rtol=1e-5)


def test_a_sum_of_many_pixels_does_not_overflow_float16():
    keras.config.set_dtype_policy("mixed_float16")
    model = fusion(dtype="float16", pool=keras.ops.sum, branch_axis=1)
    branches = [np.full((2, 4, 6, 5), 3000 + 500 * i, "float16") for i in range(3)]  # 252,000 in all
    y = model(branches).numpy()
    assert y.dtype == np.float16
    assert np.isfinite(y).all()
    assert (y >= 3000).all()
    assert (y <= 4000).all()
