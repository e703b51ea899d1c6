"""Three maps at three strides from a backbone of any kind."""

import keras
import pytest

import mixer_tf as mt
from mixer_tf.heads.pyramid import feature_pyramid
from tests.backbones.tiny import TINY, tiny_backbone

DEEP = {"stage_depths": (1, 1, 1, 1), "stage_widths": (6, 7, 8, 9)}  # levels P2 to P5


def strides_and_shapes(backbone):
    return {stride: level.shape[1:] for stride, level in feature_pyramid(backbone, 16).items()}


def test_a_hierarchical_backbone_gives_its_last_three_levels():
    backbone = mt.create_backbone("resnet18", (64, 96, 3), **DEEP)
    assert strides_and_shapes(backbone) == {8: (8, 12, 16), 16: (4, 6, 16), 32: (2, 3, 16)}


def test_the_coarsest_map_has_passed_the_norm_of_the_backbone():
    backbone = mt.create_backbone("cycle_mlp_b1", (64, 96, 3), stage_depths=(1, 1, 1, 1))
    levels = list(feature_pyramid(backbone, 16).values())
    model = keras.Model(backbone.input, levels)
    assert backbone.layers[-1].name == "norm"
    assert model.get_layer("norm") is backbone.layers[-1]


@pytest.mark.parametrize(
    ("patch_size", "image_shape", "expected"),
    [
        (16, (64, 96, 3), {8: (8, 12, 16), 16: (4, 6, 16), 32: (2, 3, 16)}),
        (14, (56, 84, 3), {7: (8, 12, 16), 14: (4, 6, 16), 28: (2, 3, 16)}),
        (8, (64, 96, 3), {8: (8, 12, 16), 16: (4, 6, 16), 32: (2, 3, 16)}),
        (32, (64, 96, 3), {8: (8, 12, 16), 16: (4, 6, 16), 32: (2, 3, 16)}),
        (4, (32, 48, 3), {4: (8, 12, 16), 8: (4, 6, 16), 16: (2, 3, 16)}),
    ],
)
def test_an_isotropic_backbone_gives_real_strides_near_8_16_and_32(patch_size, image_shape, expected):
    arguments = {"num_blocks": 1, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    backbone = mt.create_backbone("vit_b16", image_shape, patch_size=patch_size, **arguments)
    assert strides_and_shapes(backbone) == expected


@pytest.mark.parametrize("side", [72, 75, 100])
def test_odd_sizes_fit_on_each_other(side):
    backbone = mt.create_backbone("resnet18", (side, 93, 3), **DEEP)
    levels = list(feature_pyramid(backbone, 16).values())
    assert [level.shape[1] for level in levels] == [-(-side // stride) for stride in (8, 16, 32)]


@pytest.mark.parametrize("architecture", TINY)
def test_every_architecture_has_a_pyramid(architecture):
    backbone = tiny_backbone(architecture, large_enough(architecture))
    shapes = list(strides_and_shapes(backbone).values())
    assert len(shapes) == 3
    assert all(shape[2] == 16 for shape in shapes)
    assert shapes[0][0] > shapes[1][0] > shapes[2][0] >= 1


def large_enough(architecture):
    """Twice the small model's sides, but where the picture has to be as it is."""
    height, width, channels = TINY[architecture].image_shape
    return (height, width, channels) if architecture == "vip" else (2 * height, 2 * width, channels)


def test_pictures_too_small_for_the_pyramid_are_refused_with_the_least_size():
    backbone = mt.create_backbone("vit_b16", (16, 80, 3), num_blocks=1, hidden_dim=12, num_heads=3, mlp_dim=20)
    with pytest.raises(ValueError, match=r"image_size must be at least 32x32.*coarsest stride is 32; given: 16x80"):
        feature_pyramid(backbone, 16)


def test_a_backbone_that_reads_text_is_refused():
    encoder = mt.create_backbone(
        "bert_base", sequence_length=7, vocab_size=23, num_blocks=1, hidden_dim=12, num_heads=3
    )
    with pytest.raises(ValueError, match="a detector must continue a backbone that reads pictures"):
        feature_pyramid(encoder, 16)
