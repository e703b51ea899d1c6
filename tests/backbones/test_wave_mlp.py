"""Wave-MLP's own idea, and what its builder refuses."""

import keras
import numpy as np
import pytest

from mixer_tf.backbones.wave_mlp import add_waves
from tests.backbones.tiny import tiny_backbone


def waves(amplitude, theta, kernel):
    """What the tokens of a row give when they are added up as waves."""
    inputs = [keras.Input(amplitude.shape[1:]), keras.Input(theta.shape[1:])]
    model = keras.Model(inputs, add_waves(*inputs, (1, 3), name="mixing"))
    model.get_layer("mixing").kernel.assign(kernel)
    return model([amplitude, theta]).numpy()


def test_tokens_in_phase_amplify_each_other_and_those_out_of_phase_cancel():
    amplitude, kernel = np.ones((1, 1, 3, 2), "float32"), np.ones((1, 3, 4, 1))
    in_phase = np.full((1, 1, 3, 2), 0.3, "float32")
    out_of_phase = in_phase + np.array([0, np.pi, 0], "float32")[:, None]
    wave = np.array([np.cos(0.3), np.sin(0.3)])  # the first output sees the real parts, the second the imaginary ones
    np.testing.assert_allclose(waves(amplitude, in_phase, kernel)[0, 0, 1], 6 * wave, rtol=1e-5)
    np.testing.assert_allclose(waves(amplitude, out_of_phase, kernel)[0, 0, 1], 2 * wave, rtol=1e-5)


@pytest.mark.parametrize("channels", [4, 5])
def test_outputs_see_consecutive_pairs_of_all_real_and_then_all_imaginary_parts(channels):
    random = np.random.default_rng(0)
    amplitude, theta = random.normal(size=(2, 2, 1, 3, channels)).astype("float32")
    grouped = random.normal(size=(channels, 2))  # the reference's weights in the middle of its window
    kernel = np.zeros((1, 3, 2 * channels, 1))
    kernel[0, 1, :, 0] = grouped.reshape(-1)
    parts = np.concatenate([amplitude * np.cos(theta), amplitude * np.sin(theta)], axis=-1)
    expected = np.einsum("bhwcj,cj->bhwc", parts.reshape(2, 1, 3, channels, 2), grouped)
    np.testing.assert_allclose(waves(amplitude, theta, kernel), expected, atol=1e-5)


def test_weights_fit_any_image_size():
    small, large = tiny_backbone("wave_mlp"), tiny_backbone("wave_mlp", image_shape=(49, 35, 3))
    large.set_weights(small.get_weights())
    assert large(np.ones((1, 49, 35, 3), "float32")).shape == (1, 6, 5, 14)


def test_norms_of_the_variants():
    """S normalises by groups, also its embeddings; M and B only in their blocks; the phases always by batch."""
    for embedding_norm in (True, False):
        backbone = tiny_backbone("wave_mlp", norm="group", embedding_norm=embedding_norm)
        norms = {layer.name: type(layer).__name__ for layer in backbone.layers if layer.name.endswith("norm")}
        embeddings = [norms.get(name) for name in ("stem_norm", "stage2_downsample_norm")]
        assert embeddings == 2 * ["GroupNormalization" if embedding_norm else None]
        assert norms["norm"] == "GroupNormalization"
        assert norms["stage1_block1_rows_phase_norm"] == "BatchNormalization"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"norm": "layer"}, "norm must be one of batch, group; given: 'layer'"),
        ({"phase": "fc"}, "phase must be one of dense, depthwise; given: 'fc'"),
        ({"window_size": 4}, "window_size must be odd; given: 4"),
        ({"stage_widths": (8,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("wave_mlp", **arguments)
