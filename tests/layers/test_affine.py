"""Scale and shift without statistics."""

import keras
import numpy as np

from mixer_tf.layers.affine import Affine


def test_it_starts_as_the_identity_and_then_scales_and_shifts_every_channel():
    layer, x = Affine(), np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(layer(x), x)
    layer.alpha.assign([1.0, 2.0, 3.0])
    layer.beta.assign([0.0, 5.0, -1.0])
    np.testing.assert_allclose(layer(x), x * [1, 2, 3] + [0, 5, -1], rtol=1e-6)


def test_config_round_trip_and_bfloat16():
    layer = Affine(name="a", dtype="mixed_bfloat16")
    copy = Affine.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((5, 3))).dtype == "bfloat16"
    assert copy(keras.Input((5, 3))).shape == (None, 5, 3)
