"""Normalisation in the papers' forms."""

import keras
import numpy as np

from mixer_tf.layers.norms import RaftNormalization


def test_raft_normalisation_is_an_ordinary_one_that_knows_its_rafts():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    raft, plain = RaftNormalization(3, epsilon=1e-5), keras.layers.LayerNormalization(epsilon=1e-5)
    raft.build(x.shape)
    raft.gamma.assign(np.arange(6.0))
    plain.build(x.shape)
    plain.set_weights(raft.get_weights())
    np.testing.assert_array_equal(raft(x), plain(x))
    copy = RaftNormalization.from_config(raft.get_config())
    assert copy.raft_size == 3
    assert copy.get_config() == raft.get_config()
