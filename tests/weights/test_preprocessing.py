import json

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.weights import load_weights, save_weights
from mixer_tf.weights.files import Checkpoint
from mixer_tf.weights.layouts import layout_named
from mixer_tf.weights.preprocessing import find_preprocessing
from tests.weights.small_models import IMAGE_SHAPE, dinov2, eanet, mlp_mixer, random_arrays, resnet, vit

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
OTHER = Preprocessing((7, 8), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), crop=0.7, interpolation="area")


def found(model, architecture, layout, path=None, metadata=None, given=None):
    checkpoint = Checkpoint({}, metadata or {}, path)
    return find_preprocessing(model, given, checkpoint, layout_named(layout, architecture))


@pytest.mark.parametrize(
    ("backbone", "architecture", "layout", "file_name", "expected"),
    [
        (mlp_mixer, "mlp_mixer", "google", "imagenet1k_Mixer-B_16.npz", (HALF, 0.875, "bicubic")),
        (mlp_mixer, "mlp_mixer", "timm", "mixer_b16_224.pth", (HALF, 0.875, "bicubic")),
        (
            mlp_mixer,
            "mlp_mixer",
            "timm",
            "mixer_b16_224_miil-9229a591.pth",
            ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, 0.875, "bilinear"),
        ),
        (
            lambda: mlp_mixer(tokens_mlp_dim=8, gated=True),
            "mlp_mixer",
            "timm",
            "gmixer_24_224_raa-7daf7ae6.pth",
            (IMAGENET, 0.875, "bicubic"),
        ),
        (eanet, "eanet", "authors", "final.pth", (IMAGENET, 1.0, "bilinear")),
        (vit, "vit", "google", "ViT-B_16.npz", (HALF, 0.9, "bicubic")),
        (lambda: vit((384, 384, 3), num_blocks=1), "vit", "timm", "vit.pth", (HALF, 1.0, "bicubic")),
        (dinov2, "vit", "huggingface", "model.safetensors", (IMAGENET, 0.875, "bicubic")),
        (dinov2, "vit", "timm", "model.safetensors", (IMAGENET, 0.875, "bicubic")),
        (resnet, "resnet", "timm", "resnet50-0676ba61.pth", (IMAGENET, 0.875, "bilinear")),
        (resnet, "resnet", "timm", "resnet50-11ad3fa6.pth", (IMAGENET, 0.965, "bilinear")),
        (resnet, "resnet", "timm", "resnet50.tv2_in1k.safetensors", (IMAGENET, 0.965, "bilinear")),
        (resnet, "resnet", "timm", "resnet50.a1_in1k.safetensors", (IMAGENET, 0.95, "bicubic")),
        (resnet, "resnet", "timm", "resnet50_a3_0-59cae1ef.pth", (IMAGENET, 0.95, "bicubic")),
    ],
)
def test_what_is_known_of_published_files(tmp_path, backbone, architecture, layout, file_name, expected):
    model = backbone()
    constants, crop, interpolation = expected
    expected = Preprocessing(model.input_shape[1:3], **constants, crop=crop, interpolation=interpolation)
    assert found(model, architecture, layout, tmp_path / file_name) == expected


TIMM_CONFIG = {
    "architecture": "vit_tiny",
    "pretrained_cfg": {
        "input_size": [3, 384, 384],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "crop_pct": 0.8,
        "interpolation": "bilinear",
    },
}
HUGGINGFACE_CONFIG = {
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "size": {"shortest_edge": 280},
    "resample": 2,
}


@pytest.mark.parametrize(
    ("file_name", "config"), [("config.json", TIMM_CONFIG), ("preprocessor_config.json", HUGGINGFACE_CONFIG)]
)
def test_a_sidecar_of_the_hub(tmp_path, file_name, config):
    (tmp_path / file_name).write_text(json.dumps(config))
    assert found(vit(), "vit", "timm", tmp_path / "model.safetensors") == Preprocessing(
        IMAGE_SHAPE[:2], mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), crop=0.8, interpolation="bilinear"
    )


def test_a_sidecar_without_crop_and_normalisation(tmp_path):
    config = {"do_normalize": False, "size": {"height": 224, "width": 224}, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    assert found(vit(), "vit", "timm", tmp_path / "model.safetensors") == Preprocessing(
        IMAGE_SHAPE[:2], mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), crop=1.0, interpolation="bicubic"
    )


def test_a_model_config_of_hugging_face_says_nothing(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dinov2", "hidden_size": 384}))
    assert found(dinov2(), "vit", "huggingface", tmp_path / "model.safetensors").mean == IMAGENET["mean"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"resample": 17}', json.dumps({**HUGGINGFACE_CONFIG, "image_std": [0, 1, 1]})],
)
def test_a_broken_sidecar_is_named(tmp_path, text):
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ValueError, match=r"preprocessor_config\.json must describe .* pass preprocessing= instead"):
        found(vit(), "vit", "timm", tmp_path / "model.safetensors")
    assert found(vit(), "vit", "timm", tmp_path / "model.safetensors", given=OTHER).crop == 0.7


def test_the_order_of_the_sources(tmp_path):
    model, path = vit(), tmp_path / "model.safetensors"
    (tmp_path / "config.json").write_text(json.dumps(TIMM_CONFIG))
    metadata = {"preprocessing": json.dumps(OTHER.to_dict())}
    given = Preprocessing((5, 6), crop=0.6)
    assert found(model, "vit", "timm", path).crop == 0.8
    assert found(model, "vit", "timm", path, metadata).crop == 0.7
    assert found(model, "vit", "timm", path, metadata, given).crop == 0.6
    assert found(model, "vit", "timm", path, metadata, given).image_size == IMAGE_SHAPE[:2]


def test_it_travels_through_a_file_and_onto_the_classifier(tmp_path):
    first, second = vit(), vit((16, 40, 3))
    load_weights(first, random_arrays(first, "vit", "timm"), preprocessing=OTHER)
    assert mt.classifier(first, 4).preprocessing == first.preprocessing
    report = load_weights(second, save_weights(first, tmp_path / "w.safetensors", layout="timm"))
    assert second.preprocessing == report.preprocessing
    assert second.preprocessing.to_dict() == {**OTHER.to_dict(), "image_size": [16, 40]}


@pytest.mark.parametrize("shape", [(16, 24, 4), (None, None, 3), (7,)])
def test_none_for_other_inputs_than_pictures_of_fixed_size(shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(2, name="dense")])
    report = load_weights(model, {"dense/kernel": np.zeros((shape[-1], 2)), "dense/bias": np.zeros(2)})
    assert report.preprocessing is None
