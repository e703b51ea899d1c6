"""Every architecture in every layout: the names are the reference's, and arrays come back byte for byte."""

import re

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.weights import load_weights, save_weights
from mixer_tf.weights.files import read_checkpoint
from mixer_tf.weights.layouts import LAYOUTS, architecture_of, guess, layout_named
from tests.weights.small_models import (
    FORMS,
    build,
    dinov2,
    mlp_mixer,
    random_arrays,
    resnet,
    vit,
)


def test_google_names(tmp_path):
    block = "Transformer/encoderblock_1"
    attention = f"{block}/MultiHeadDotProductAttention_1"
    model = mt.classifier(vit(), 4, pre_logits_dim=9)
    saved = read_checkpoint(save_weights(model, tmp_path / "w.npz", layout="google")).arrays
    assert {name: array.shape for name, array in saved.items() if "encoderblock_0" not in name} == {
        "cls": (1, 1, 12),
        "embedding/kernel": (8, 8, 3, 12),
        "embedding/bias": (12,),
        "Transformer/posembed_input/pos_embedding": (1, 7, 12),
        f"{block}/LayerNorm_0/scale": (12,),
        f"{block}/LayerNorm_0/bias": (12,),
        **{f"{attention}/{part}/kernel": (12, 3, 4) for part in ("query", "key", "value")},
        **{f"{attention}/{part}/bias": (3, 4) for part in ("query", "key", "value")},
        f"{attention}/out/kernel": (3, 4, 12),
        f"{attention}/out/bias": (12,),
        f"{block}/LayerNorm_2/scale": (12,),
        f"{block}/LayerNorm_2/bias": (12,),
        f"{block}/MlpBlock_3/Dense_0/kernel": (12, 20),
        f"{block}/MlpBlock_3/Dense_0/bias": (20,),
        f"{block}/MlpBlock_3/Dense_1/kernel": (20, 12),
        f"{block}/MlpBlock_3/Dense_1/bias": (12,),
        "Transformer/encoder_norm/scale": (12,),
        "Transformer/encoder_norm/bias": (12,),
        "pre_logits/kernel": (12, 9),
        "pre_logits/bias": (9,),
        "head/kernel": (9, 4),
        "head/bias": (4,),
    }


# An .npz cannot tell the image size that ViP's weights are for: tests/weights/test_resizing.py.
FILES = [
    (form, suffix) for form in FORMS for suffix in (".npz", ".safetensors") if (form, suffix) != ("vip authors", ".npz")
]


@pytest.mark.parametrize(("form", "suffix"), FILES)
def test_arrays_come_back_byte_for_byte(tmp_path, form, suffix):
    model, architecture, layout = build(form)
    given = random_arrays(model, architecture, layout)
    report = load_weights(model, given, resize=False)
    assert (report.architecture, report.layout) == (architecture, layout)
    assert report.arrays == len(given)
    assert report.parameters == sum(array.size for array in given.values())
    assert report.resized == report.converted == report.skipped == report.kept == ()

    saved = dict(read_checkpoint(save_weights(model, tmp_path / f"w{suffix}", layout=layout)).arrays)
    counters = {name: saved.pop(name) for name in list(saved) if name.endswith("num_batches_tracked")}
    assert all(array.dtype == np.int64 and array.shape == () and array == 0 for array in counters.values())
    assert bool(counters) == any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    derived = layout_named(layout, architecture).derived_arrays(model)
    assert derived.keys() == counters.keys() | {name for name in saved if name not in given}
    for name in derived.keys() & saved.keys():
        np.testing.assert_array_equal(saved.pop(name), derived[name])
    assert saved.keys() == given.keys()
    for name, array in given.items():
        assert saved[name].tobytes() == array.tobytes(), name
        assert (saved[name].dtype, saved[name].shape) == (array.dtype, array.shape), name


@pytest.mark.parametrize("form", FORMS)
def test_every_variable_gets_a_value(form):
    model, architecture, layout = build(form)
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in model.weights]
    load_weights(model, random_arrays(model, architecture, layout), resize=False)
    for variable, old in zip(model.weights, before, strict=True):
        assert not np.array_equal(keras.ops.convert_to_numpy(variable), old), variable.path


def test_every_layout_is_tested():
    tested = {(architecture, layout) for _, architecture, layout, _ in FORMS.values()}
    assert tested == {(name, layout.name) for name, layouts in LAYOUTS.items() for layout in layouts}


@pytest.mark.parametrize("form", FORMS)
def test_models_and_files_are_recognised(form):
    model, architecture, layout = build(form)
    assert architecture_of(model) == architecture
    assert guess(random_arrays(model, architecture, layout)) == (architecture, layout)


def test_two_layouts_of_a_vit_give_the_same_outputs(tmp_path):
    image = np.random.default_rng(0).standard_normal((2, 16, 24, 3), np.float32)
    model = mt.classifier(vit(), 4)
    load_weights(model, random_arrays(model, "vit", "timm"))
    expected = keras.ops.convert_to_numpy(model(image))
    for layout in ("google", "mixer_tf"):
        other = mt.classifier(vit(), 4)
        load_weights(other, save_weights(model, tmp_path / f"{layout}.npz", layout=layout))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(other(image)), expected)


def test_newer_spelling_of_hugging_face():
    model = dinov2()
    given = random_arrays(model, "vit", "huggingface")
    newer = {}
    for name, array in given.items():
        name = re.sub(r"attention\.(query|key|value)", lambda part: f"{part[1][0]}_proj", name)
        newer["dinov2." + name.replace("attention.output.dense", "attention.o_proj")] = array
    assert "dinov2.encoder.layer.1.attention.o_proj.weight" in newer
    assert "dinov2.encoder.layer.1.attention.q_proj.bias" in newer
    assert load_weights(model, newer).layout == "huggingface"
    query = model.get_layer("block1_attention_qkv").kernel[:, :12]
    np.testing.assert_array_equal(query, given["encoder.layer.1.attention.attention.query.weight"].T)


def test_old_prefixes_of_google():
    model = mt.classifier(mlp_mixer(), 4)
    given = random_arrays(model, "mlp_mixer", "google")
    for prefix in ("params/", "opt/target/", "opt/target/params/"):
        state = {"opt/state/step": np.array(5)} if prefix.startswith("opt") else {}
        report = load_weights(model, {**{prefix + name: array for name, array in given.items()}, **state})
        assert report.layout == "google"
        assert report.skipped == tuple(state)


def test_timm_files_of_dinov2_have_no_mask_token():
    model = dinov2()
    given = random_arrays(model, "vit", "timm")
    del given["mask_token"]
    assert load_weights(model, given).kept == ("mask_token",)


def test_a_layout_without_a_name_for_a_layer(tmp_path):
    with pytest.raises(ValueError, match=r"layout huggingface must name every layer .* no name for pre_logits;"):
        save_weights(mt.classifier(dinov2(), 4, pre_logits_dim=5), tmp_path / "w.npz", layout="huggingface")
    assert not list(tmp_path.iterdir())


def test_unknown_layout():
    with pytest.raises(ValueError, match=r"layout of resnet must be one of timm, mixer_tf; given: 'google'"):
        load_weights(resnet(), {}, layout="google")


def test_any_model_has_our_own_layout(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(4, name="b")])
    assert architecture_of(model) is None
    path = save_weights(model, tmp_path / "w.npz", layout="mixer_tf")
    assert set(read_checkpoint(path).arrays) == {"a/kernel", "a/bias", "b/kernel", "b/bias"}
    assert str(load_weights(model, path)) == "w.npz: 4 arrays, 20 parameters loaded (own architecture, layout mixer_tf)"


def test_templates():
    module = layout_named("timm", "resnet")
    assert module.knows("layer12.0.downsample.1.running_var")
    assert not module.knows("layer12.downsample.1.running_var")
    assert not module.knows("xlayer1.0.conv1.weight")
    assert module.knows("fc.bias", ("head",))
    assert not module.knows("bn1.bias", ("head",))


def test_what_is_no_model_is_refused(tmp_path):
    for call in (lambda: save_weights("vit", tmp_path / "w.npz", layout="timm"), lambda: load_weights("vit", {})):
        with pytest.raises(ValueError, match="model must be Model; given: 'vit'"):
            call()
