"""Exact numbers of parameters, with a head for 1,000 classes (DINOv2: without a head)."""

import keras
import pytest

import mixer_tf as mt
from mixer_tf.analysis.size import count_parameters

COUNTS = {
    ("resnet18", 224): 11_689_512,
    ("resnet34", 224): 21_797_672,
    ("resnet50", 224): 25_557_032,
    ("resnet101", 224): 44_549_160,
    ("resnet152", 224): 60_192_808,
    ("vit_ti16", 224): 5_717_416,
    ("vit_ti16", 384): 5_790_376,
    ("vit_s32", 224): 22_878_952,
    ("vit_s32", 384): 22_915_432,
    ("vit_s16", 224): 22_050_664,
    ("vit_s16", 384): 22_196_584,
    ("vit_b32", 224): 88_224_232,
    ("vit_b32", 384): 88_297_192,
    ("vit_b16", 224): 86_567_656,
    ("vit_b16", 384): 86_859_496,
    ("vit_b16_gap", 224): 86_566_120,
    ("vit_b8", 224): 86_576_872,
    ("vit_l32", 224): 306_535_400,
    ("vit_l32", 384): 306_632_680,
    ("vit_l16", 224): 304_326_632,
    ("vit_l16", 384): 304_715_752,
    ("vit_h14", 224): 632_045_800,
    ("dinov2_s14", 224): 22_056_576,
    ("dinov2_b14", 224): 86_580_480,
    ("dinov2_l14", 224): 304_368_640,
    ("mlp_mixer_s32", 224): 19_104_624,
    ("mlp_mixer_s16", 224): 18_528_264,
    ("mlp_mixer_b32", 224): 60_293_428,
    ("mlp_mixer_b16", 224): 59_880_472,
    ("mlp_mixer_l32", 224): 206_939_264,
    ("mlp_mixer_l16", 224): 208_196_168,
    ("mlp_mixer_h14", 224): 432_350_952,
    ("as_mlp_t", 224): 28_282_696,
    ("as_mlp_s", 224): 49_594_696,
    ("as_mlp_b", 224): 87_752_808,
    ("conv_mlp_s", 224): 9_022_920,
    ("conv_mlp_m", 224): 17_410_504,
    ("conv_mlp_l", 224): 42_728_440,
    ("s2_mlp_wide", 224): 72_239_848,
    ("s2_mlp_deep", 224): 53_916_520,
    ("s2_mlp_v2_s7", 224): 25_112_680,
    ("s2_mlp_v2_m7", 224): 55_268_840,
    ("ms_mlp_t", 224): 28_656_232,
    ("ms_mlp_s", 224): 50_303_752,
    ("ms_mlp_b", 224): 88_696_792,
}


@pytest.mark.parametrize(("name", "side"), COUNTS)
def test_variant_has_exactly_the_parameters_of_the_reference(name, side):
    with keras.StatelessScope():  # variables have shapes here, but no values yet: the largest model has 2.5 GB of them
        backbone = mt.create_backbone(name, (side, side, 3))
        model = backbone if name.startswith("dinov2") else mt.classifier(backbone, 1000)
        parameters = count_parameters(model)
        keras.backend.clear_session()  # forget the variables before the scope gives them values
    assert parameters == COUNTS[name, side]


def test_every_variant_stands_in_the_table():
    assert {name for name, _ in COUNTS} == set(mt.list_backbones())
