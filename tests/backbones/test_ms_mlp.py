"""MS-MLP: circular rolls and kernels that grow with them, the norm after the pooling, and what is refused."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from tests.backbones.tiny import tiny_backbone, tiny_images


def test_without_larger_kernels_the_map_has_no_border():
    """Rolls are circular: pictures rolled by whole patches give features rolled alike, but for the kernels' zeros."""
    arguments = {"stage_depths": (2,), "stage_widths": (11,), "layer_scale": 1.0}
    pictures = tiny_images("ms_mlp")
    rolled = np.roll(pictures, (8, -12), axis=(1, 2))
    for kernels, equal in (((1, 1, 1, 1), True), ((1, 1, 3, 1), False)):
        backbone = tiny_backbone("ms_mlp", mix_kernels=(kernels,), **arguments)
        expected = np.roll(backbone(pictures), (2, -3), axis=(1, 2))
        assert np.allclose(backbone(rolled), expected, atol=1e-5) is equal


def test_published_kernels_grow_with_the_distance_and_with_the_depth():
    kernels = np.array(mt.backbones.ARCHITECTURES["ms_mlp"][1]["ms_mlp_t"]["mix_kernels"])
    assert (np.diff(kernels, axis=1) >= 0).all()
    assert (np.diff(kernels, axis=0) >= 0).all()


def test_block_with_zero_layer_scale_is_the_identity():
    backbone = tiny_backbone("ms_mlp", layer_scale=0)
    first, last = (backbone.get_layer(name).output for name in ("stage2_downsample_norm", "P3"))
    first, last = keras.Model(backbone.input, [first, last])(tiny_images("ms_mlp"))
    np.testing.assert_array_equal(first, last)


def test_classifier_normalises_after_pooling_without_being_told(tmp_path):
    backbone = tiny_backbone("ms_mlp", norm_epsilon=1e-3)
    backbone.save(tmp_path / "backbone.keras")
    for made in (backbone, keras.models.load_model(tmp_path / "backbone.keras")):
        model = mt.classifier(made, 4)
        names = [layer.name for layer in model.layers]
        assert names[-3:] == ["head_pool", "head_norm", "head"]
        assert model.get_layer("head_norm").epsilon == 1e-3


def test_an_odd_last_row_or_column_is_left_out_between_stages():
    backbone = tiny_backbone("ms_mlp", image_shape=(36, 44, 3))
    assert backbone.output.shape == (None, 4, 5, 16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image_shape": (25, 40, 3)}, r"must be divisible by patch_size 4; nearest: \(24, 40, 3\)"),
        ({"image_shape": (4, 40, 3)}, r"must be at least 8 on both sides for 2 stages; given: \(4, 40, 3\)"),
        ({"stage_widths": (9, 16)}, r"stage_widths must give 4 groups of ceil\(width / 4\) channels; given: \(9, 16\)"),
        ({"mix_kernels": ((1, 1, 3, 5),)}, "mix_kernels must have one value per stage; given: 1 values, 2 stages"),
        ({"mix_kernels": ((1, 1, 3), (1, 1, 3))}, "mix_kernels must name an odd size for each of the 4 shift_dist"),
        ({"mix_kernels": ((1, 1, 3, 4), (1, 1, 3, 5))}, "mix_kernels must name an odd size for each of the 4"),
        ({"stage_widths": (11,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
        ({"mlp_ratio": -1}, "mlp_ratio must be above 0; given: -1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("ms_mlp", **arguments)
