"""Exact numbers of parameters, with a head for 1,000 classes (DINOv2: without a head).

Models of text at their number of tokens: BERT with both heads of its pretraining, GPT-2 with its own, the others with
that for masked words.
"""

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
    ("bert_tiny", 512): 4_433_468,
    ("bert_mini", 512): 11_267_900,
    ("bert_small", 512): 29_058_876,
    ("bert_medium", 512): 41_668_412,
    ("bert_base", 512): 110_106_428,
    ("bert_base", 128): 110_106_428,  # a shorter text needs no other weights
    ("bert_large", 512): 336_226_108,
    ("bert_base_cased", 512): 108_932_934,
    ("bert_large_cased", 512): 334_661_958,
    ("bert_base_multilingual_cased", 512): 178_566_653,
    ("bert_base_chinese", 512): 102_882_442,
    ("gpt2", 1024): 124_439_808,
    ("gpt2_medium", 1024): 354_823_168,
    ("gpt2_large", 1024): 774_030_080,
    ("gpt2_xl", 1024): 1_557_611_200,
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
    ("gmixer_12", 224): 12_701_080,
    ("gmixer_24", 224): 24_721_096,
    ("ff_only_tiny", 224): 7_676_332,
    ("ff_only_base", 224): 61_943_020,
    ("ff_only_large", 224): 206_363_576,
    ("resmlp_s12", 224): 15_350_872,
    ("resmlp_s24", 224): 30_020_680,
    ("resmlp_s36", 224): 44_690_488,
    ("resmlp_b24", 224): 129_138_280,
    ("eamlp_7", 224): 6_146_638,  # these with their fixed positions
    ("eamlp_7", 384): 6_243_918,
    ("eamlp_10", 224): 8_540_110,
    ("eamlp_12", 224): 10_135_758,
    ("eamlp_14", 224): 29_877_070,
    ("eamlp_19", 224): 54_559_054,
    ("eamlp_24", 224): 89_456_590,
    ("eamlp_t_14", 224): 29_877_070,
    ("eamlp_t_19", 224): 54_559_054,
    ("eamlp_t_24", 224): 89_456_590,
    ("eanet_resnet50", 513): 34_846_933,  # these with a head for 21 classes of pixels
    ("eanet_resnet101", 513): 53_839_061,
    ("gmlp_ti16", 224): 5_867_328,
    ("gmlp_s16", 224): 19_422_656,
    ("gmlp_b16", 224): 73_075_392,
    ("mlp_mixer_text_s", 128): 33_263_930,
    ("mlp_mixer_text_b", 128): 81_956_922,
    ("mlp_mixer_text_l", 128): 237_047_610,
    ("fnet_base", 512): 82_300_928,
    ("fnet_large", 512): 235_925_760,
    ("resmlp_text_s12", 128): 26_304_954,
    ("resmlp_text_s24", 128): 40_709_562,
    ("resmlp_text_s36", 128): 55_114_170,
    ("gmlp_text_base", 512): 142_903_040,
    ("gmlp_text_base", 128): 131_088_128,
    ("gmlp_text_large", 512): 390_966_272,
    ("gmlp_text_xlarge", 512): 979_267_840,
    ("cycle_mlp_b1", 224): 15_155_400,
    ("cycle_mlp_b2", 224): 26_802_504,
    ("cycle_mlp_b3", 224): 38_385_720,
    ("cycle_mlp_b4", 224): 51_796_552,
    ("cycle_mlp_b5", 224): 75_747_280,
    ("wave_mlp_t_dw", 224): 15_286_472,
    ("wave_mlp_t", 224): 17_193_160,
    ("wave_mlp_s", 224): 30_708_040,
    ("wave_mlp_m", 224): 44_056_632,
    ("wave_mlp_b", 224): 63_586_360,
    ("hire_mlp_t", 224): 18_041_672,
    ("hire_mlp_s", 224): 33_113_848,
    ("hire_mlp_b", 224): 58_226_856,
    ("hire_mlp_l", 224): 95_723_944,
    ("vip_s14", 224): 29_892_904,
    ("vip_s7", 224): 25_114_984,
    ("vip_m7", 224): 55_272_488,
    ("vip_l7", 224): 87_784_936,
    ("raft_mlp_s", 224): 9_868_768,
    ("raft_mlp_m", 224): 21_413_632,
    ("raft_mlp_l", 224): 36_184_672,
    ("raft_mlp_m_patches", 224): 19_920_640,
    ("raft_mlp_isotropic_r4", 224): 58_390_696,
    ("raft_mlp_isotropic_r2", 224): 58_162_888,
    ("raft_mlp_isotropic_r2_multi_scale", 224): 60_522_184,
    ("raft_mlp_isotropic_r1", 224): 58_105_432,
    ("raft_mlp_isotropic_deep", 224): 43_532_296,
    ("raft_mlp_isotropic_mixer", 224): 59_918_200,
    ("gfnet_ti", 224): 7_511_784,
    ("gfnet_xs", 224): 15_985_768,
    ("gfnet_s", 224): 24_869_608,
    ("gfnet_b", 224): 43_120_616,
    ("gfnet_h_ti", 224): 15_085_096,
    ("gfnet_h_s", 224): 32_162_632,
    ("gfnet_h_b", 224): 53_744_200,
    ("smlp_net_t", 224): 24_123_584,
    ("smlp_net_s", 224): 48_558_136,
    ("smlp_net_b", 224): 65_880_408,
    ("rep_mlp_net_t224", 224): 38_293_608,
    ("rep_mlp_net_b224", 224): 68_242_712,
    ("rep_mlp_net_t256", 256): 58_687_848,
    ("rep_mlp_net_b256", 256): 96_447_512,
    ("rep_mlp_net_d256", 256): 86_887_648,
    ("rep_mlp_net_l256", 256): 117_641_560,
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


def build(name, size):
    """The model with the head that its number counts; `size` is the side of the picture or the length of the text."""
    if name in mt.list_backbones(reads="image"):
        backbone = mt.create_backbone(name, (size, size, 3))
        if name.startswith("eanet"):
            return mt.segmenter(backbone, 21)
        return backbone if name.startswith("dinov2") else mt.classifier(backbone, 1000)
    encoder = mt.create_backbone(name, sequence_length=size)
    if name.startswith("gpt2"):
        return mt.causal_language_model(encoder)
    return mt.masked_language_model(encoder, next_sentence=name.startswith("bert"))


@pytest.mark.parametrize(("name", "size"), COUNTS)
def test_variant_has_exactly_the_parameters_of_the_reference(name, size):
    with keras.StatelessScope():  # variables have shapes here, but no values yet: the largest model has 6.2 GB of them
        parameters = count_parameters(build(name, size))
        keras.backend.clear_session()  # forget the variables before the scope gives them values
    assert parameters == COUNTS[name, size]


def test_every_variant_stands_in_the_table():
    assert {name for name, _ in COUNTS} == set(mt.list_backbones())
