"""The idea of FNet."""

import keras
import numpy as np

from mixer_tf.backbones.fnet import fourier_mixing
from tests.backbones.tiny import tiny_encoder, tiny_texts


def test_mixing_is_the_real_part_of_the_fourier_transform_over_tokens_and_channels():
    x = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    turns = np.multiply.outer(np.outer(range(5), range(5)) / 5, np.ones((6, 6))) + np.outer(range(6), range(6)) / 6
    expected = np.einsum("btc,tucv->buv", x, np.cos(2 * np.pi * turns))
    np.testing.assert_allclose(fourier_mixing(x), expected, atol=1e-5)
    np.testing.assert_allclose(fourier_mixing(x), np.fft.fft2(x).real, atol=1e-5)


def test_nothing_in_the_mixing_is_learned():
    layers = {layer.name for layer in tiny_encoder("fnet").layers if layer.weights}
    block = {"block0_norm1", "block0_norm2", "block0_mlp_fc1", "block0_mlp_fc2"}
    assert {layer for layer in layers if layer.startswith("block0")} == block


def test_blocks_mix_what_is_not_padding():
    encoder, texts = tiny_encoder("fnet", num_blocks=1), tiny_texts("fnet")
    names = ("stem_norm", "block0_fourier_mixing_add")
    before, after = keras.Model(encoder.input, [encoder.get_layer(name).output for name in names])(texts)
    real = before.numpy() * texts["padding_mask"][:, :, None]
    np.testing.assert_allclose(after - before, np.fft.fft2(real).real, atol=1e-4)
