"""From pretraining to what comes after it: the backbone is taken strictly, the heads are not."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.layers.resize import resize_grid
from mixer_tf.weights import WeightsMismatch, load_weights, save_weights
from mixer_tf.weights.heads import is_head_layer
from tests.backbones.tiny import tiny_backbone
from tests.weights.small_models import bert, bert_with_heads, mlp_mixer, resnet, vit

TILE_AND_HEAD = ("mask_tile/tile", "head_patches/kernel", "head_patches/bias")
HEAD = ("head/kernel", "head/bias")


def values(model):
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}


def randomized(model, seed=1):
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 1.0, weight.shape))
    return model


def masked_image(backbone, **arguments):
    return randomized(mt.masked_image_model(backbone, **{"patch_size": 4, **arguments}))


def saved(tmp_path, model, name="model.keras"):
    model.save(tmp_path / name)
    return tmp_path / name


def check_backbone_taken(model, before, pretrained):
    """All but the heads comes from the file; the model's own head is what it was."""
    after, source = values(model), values(pretrained)
    for name, value in after.items():
        expected = before[name] if is_head_layer(name.partition("/")[0]) else source[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)


BUILD = {
    "classifier": (lambda backbone: mt.classifier(backbone, 5), HEAD),
    "backbone": (lambda backbone: backbone, ()),
    "segmenter": (lambda backbone: mt.segmenter(backbone, 3), HEAD),
    "classifier with more of a head": (
        lambda backbone: mt.classifier(backbone, 5, norm_epsilon=1e-6, pre_logits_dim=9),
        ("head_norm/gamma", "head_norm/beta", "pre_logits/kernel", "pre_logits/bias", *HEAD),
    ),
}


@pytest.mark.parametrize("kind", BUILD)
@pytest.mark.parametrize("backbone", [mlp_mixer, vit, resnet])
def test_any_model_takes_the_backbone_of_masked_image_pretraining(tmp_path, kind, backbone):
    pretrained = masked_image(backbone())
    build, own = BUILD[kind]
    model = build(backbone())
    before = values(model)
    report = load_weights(model, saved(tmp_path, pretrained))
    assert report.skipped == TILE_AND_HEAD
    assert report.kept == own
    assert report.arrays == len(pretrained.weights) - 3
    assert report.resized == ()
    check_backbone_taken(model, before, pretrained)


def test_report_says_what_was_taken_and_what_not(tmp_path):
    report = load_weights(mt.classifier(resnet(), 5), saved(tmp_path, masked_image(resnet())))
    assert "parameters loaded (resnet, layout mixer_tf); skipped 3 (mask_tile/tile, head_patches/kernel, " in str(
        report
    )
    assert "kept 2 (head/kernel, head/bias)" in str(report)


@pytest.mark.parametrize("kind", ["classifier", "segmenter", "masked image"])
def test_any_model_takes_a_backbone_alone(tmp_path, kind):
    bare = randomized(vit())
    model = masked_image(vit()) if kind == "masked image" else BUILD[kind][0](vit())
    before = values(model)
    report = load_weights(model, saved(tmp_path, bare))
    assert report.skipped == ()
    assert sorted(report.kept) == sorted(TILE_AND_HEAD if kind == "masked image" else HEAD)
    check_backbone_taken(model, before, bare)


def test_pretraining_goes_on_with_tile_and_head(tmp_path):
    pretrained, model = masked_image(vit()), mt.masked_image_model(vit(), patch_size=4)
    report = load_weights(model, saved(tmp_path, pretrained))
    assert report.skipped == report.kept == ()
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, values(pretrained)[name])


def test_another_target_is_refused_unless_the_head_is_skipped(tmp_path):
    path, model = saved(tmp_path, masked_image(vit())), masked_image(vit(), target="pixels")
    with pytest.raises(WeightsMismatch, match="skip_head=True keeps the model's head") as caught:
        load_weights(model, path)
    assert sorted(caught.value.misshapen) == ["head_patches/bias", "head_patches/kernel"]
    assert load_weights(model, path, skip_head=True).kept == TILE_AND_HEAD


def test_a_classifier_starts_pretraining_only_if_its_head_is_skipped(tmp_path):
    path, model = saved(tmp_path, mt.classifier(vit(), 5)), masked_image(vit())
    with pytest.raises(WeightsMismatch, match="skip_head=True keeps the model's head"):
        load_weights(model, path)
    report = load_weights(model, path, skip_head=True)
    assert (report.skipped, report.kept) == (HEAD, TILE_AND_HEAD)


def test_head_of_another_classifier_is_still_refused(tmp_path):
    with pytest.raises(WeightsMismatch, match="skip_head=True"):
        load_weights(vit(), saved(tmp_path, mt.classifier(vit(), 5)))
    with pytest.raises(WeightsMismatch, match="skip_head=True"):
        load_weights(mt.classifier(vit(), 4), saved(tmp_path, mt.classifier(vit(), 5)))


@pytest.mark.parametrize("pretrain", [masked_image, lambda backbone: backbone])
@pytest.mark.parametrize("wrong", [mlp_mixer, resnet, lambda: vit(hidden_dim=9), lambda: vit(num_blocks=3)])
def test_a_wrong_backbone_is_refused_in_one_sentence(tmp_path, pretrain, wrong):
    model = mt.classifier(vit(), 5)
    before = values(model)
    with pytest.raises(WeightsMismatch, match="must fit vit_classifier") as caught:
        load_weights(model, saved(tmp_path, pretrain(wrong())))
    assert "\n" not in str(caught.value)
    error = caught.value
    assert not any("head" in name or "tile" in name for name in (*error.missing, *error.extra, *error.misshapen))
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_another_image_size_is_resized_by_the_rules_of_the_architecture(tmp_path):
    path = saved(tmp_path, masked_image(vit((16, 64, 3))))
    report = load_weights(mt.classifier(vit((32, 32, 3)), 5), path)
    assert report.resized == ("position_embedding/table 2x8 -> 4x4",)
    with pytest.raises(WeightsMismatch, match="position_embedding/table"):
        load_weights(mt.classifier(vit((32, 40, 3)), 5), path, resize=False)
    pretrained, model = masked_image(mlp_mixer((16, 64, 3))), mt.classifier(mlp_mixer((32, 40, 3)), 5)
    report = load_weights(model, saved(tmp_path, pretrained))
    assert "block1_token_mixing_fc2/bias 2x8 -> 4x5" in report.resized
    before = pretrained.get_layer("block1_token_mixing_fc2").bias.numpy().reshape(2, 8)
    after = model.get_layer("block1_token_mixing_fc2").bias.numpy().reshape(4, 5)
    np.testing.assert_allclose(after, resize_grid(before[..., None], (4, 5))[..., 0], rtol=1e-5)


def test_image_size_counts_where_no_shape_tells_it(tmp_path):
    """Of ViP the file's grid and the model's pictures decide; a masked image model has two inputs."""
    vip = tiny_backbone("vip", (64, 64, 3), segments=(8, 4), stage_widths=(16, 16))
    small = mt.masked_image_model(tiny_backbone("vip", segments=(4, 2), stage_widths=(16, 16)), patch_size=4)
    assert len(load_weights(small, saved(tmp_path, masked_image(vip))).resized) > 0


def test_preprocessing_comes_along(tmp_path):
    pretrained = masked_image(vit())
    pretrained.preprocessing = Preprocessing((16, 24), mean=(0.1, 0.2, 0.3))
    model = mt.classifier(vit((32, 48, 3)), 5)
    load_weights(model, saved(tmp_path, pretrained))
    assert model.preprocessing == Preprocessing((32, 48), mean=(0.1, 0.2, 0.3))
    again = mt.masked_image_model(vit(), patch_size=4)
    load_weights(again, tmp_path / "model.keras")
    assert again.preprocessing == pretrained.preprocessing


def test_a_safetensors_file_under_our_own_names_does_the_same(tmp_path):
    pretrained, model = masked_image(vit()), mt.classifier(vit(), 5)
    before = values(model)
    report = load_weights(model, save_weights(pretrained, tmp_path / "vit.safetensors", layout="mixer_tf"))
    assert sorted(report.skipped) == sorted(TILE_AND_HEAD)
    assert report.kept == HEAD
    check_backbone_taken(model, before, pretrained)


def test_a_published_layout_must_still_bring_the_head(tmp_path):
    path = save_weights(vit(), tmp_path / "vit.safetensors", layout="timm")
    with pytest.raises(WeightsMismatch, match="skip_head=True") as caught:
        load_weights(mt.classifier(vit(), 5), path)
    assert caught.value.missing == ("head.weight", "head.bias")


@pytest.mark.parametrize("next_sentence", [False, True])
def test_an_encoder_takes_a_masked_language_model_without_its_heads(tmp_path, next_sentence):
    pretrained = randomized(mt.masked_language_model(bert(), next_sentence=next_sentence))
    encoder = bert()
    report = load_weights(encoder, saved(tmp_path, pretrained))
    assert len(report.skipped) == (9 if next_sentence else 5)
    assert report.kept == ()
    check_backbone_taken(encoder, {}, pretrained)


def test_a_model_that_continues_an_encoder_keeps_its_head(tmp_path):
    encoder = bert()
    pooled = keras.layers.GlobalAveragePooling1D()(encoder.output)
    model = keras.Model(encoder.input, keras.layers.Dense(3, name="head")(pooled))
    before, pretrained = values(model), randomized(bert_with_heads())
    assert load_weights(model, saved(tmp_path, pretrained)).kept == HEAD
    check_backbone_taken(model, before, pretrained)


def test_a_masked_language_model_takes_its_own_heads_strictly(tmp_path):
    model = mt.masked_language_model(bert())
    assert load_weights(model, saved(tmp_path, randomized(mt.masked_language_model(bert())))).skipped == ()
    path = saved(tmp_path, randomized(bert_with_heads()))
    with pytest.raises(WeightsMismatch, match="skip_head=True") as caught:
        load_weights(model, path)
    assert {name.partition("/")[0] for name in caught.value.extra} == {"pooler", "next_sentence"}


def test_skip_head_leaves_out_what_goes_by_the_number_of_a_level(tmp_path):
    path = saved(tmp_path, mt.classifier(tiny_backbone("raft_mlp"), 4, pool="multi_level"))
    model = mt.classifier(tiny_backbone("raft_mlp"), 4)
    with pytest.raises(WeightsMismatch) as caught:  # the other head does without the backbone's last norm
        load_weights(model, path, skip_head=True)
    assert (caught.value.missing, caught.value.extra) == (("norm/gamma", "norm/beta"), ())
