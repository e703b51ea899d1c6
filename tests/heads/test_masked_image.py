"""Masked image modelling on every backbone."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.heads.masked_image import masked_image_model, unit_of
from tests.backbones.tiny import TINY, tiny_backbone, tiny_encoder

SHAPES = {"conv_mlp": (32, 48, 3)}  # that of the small model does not consist of whole units
every_architecture = pytest.mark.parametrize("architecture", TINY)


def backbone_of(architecture, image_shape=None, **arguments):
    return tiny_backbone(architecture, image_shape or SHAPES.get(architecture), **arguments)


def tiny_model(architecture, patch_size=None, target="colors", **arguments):
    backbone = backbone_of(architecture, **arguments)
    return masked_image_model(backbone, patch_size=patch_size or TINY[architecture].strides[-1] // 2, target=target)


def inputs_for(model, batch=3, seed=1):
    """Random pictures, and about half of their units masked."""
    random = np.random.default_rng(seed)
    image, units = model.input["image"].shape[1:], model.input["masked_units"].shape[1:]
    masked_units = random.integers(0, 2, (batch, *units)).astype("int32")
    masked_units[:, 0, 0], masked_units[:, -1, -1] = 1, 0
    return {"image": random.normal(size=(batch, *image)).astype("float32"), "masked_units": masked_units}


def with_other_masked_pixels(inputs):
    unit = inputs["image"].shape[1] // inputs["masked_units"].shape[1]
    hidden = inputs["masked_units"].repeat(unit, axis=1).repeat(unit, axis=2)[..., None] == 1
    other = np.random.default_rng(2).normal(scale=100, size=inputs["image"].shape)
    return {**inputs, "image": np.where(hidden, other, inputs["image"]).astype("float32")}


@pytest.mark.parametrize("training", [False, True])  # what a BatchNormalization takes from the batch could leak
@every_architecture
def test_masked_pixels_change_no_logit(architecture, training):
    model = tiny_model(architecture, **({"stem_dropout": 0.0} if architecture == "eamlp" else {}))
    inputs = inputs_for(model)
    changed = with_other_masked_pixels(inputs)
    assert np.abs(changed["image"] - inputs["image"]).max() > 100
    logits, other = (model(given, training=training).numpy() for given in (inputs, changed))
    assert np.ptp(logits) > 0
    np.testing.assert_array_equal(logits, other)


@every_architecture
def test_pixels_that_are_not_masked_change_logits(architecture):
    model = tiny_model(architecture, **TINY[architecture].to_train)
    inputs = inputs_for(model)
    other = {**inputs, "image": inputs["image"] + (with_other_masked_pixels(inputs)["image"] == inputs["image"])}
    assert np.abs(model(inputs) - model(other)).max() > 0


@every_architecture
def test_names_are_the_backbones_and_the_graph_is_flat(architecture):
    backbone = backbone_of(architecture)
    model = masked_image_model(backbone, patch_size=8)
    names = [layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    own = [name for name in names if name == "mask_tile" or name.startswith("head_")]
    assert [name for name in names if name not in own] == [layer.name for layer in backbone.layers[1:]]
    assert model.get_layer(names[1]) is backbone.layers[1]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


@every_architecture
def test_a_gradient_reaches_every_weight_and_the_tile(architecture):
    tiny = TINY[architecture]
    model = tiny_model(architecture, **tiny.to_train)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs_for(model, batch=5), training=True)[..., :3] ** 3)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert "mask_tile/tile" in [variable.path for variable in model.trainable_variables]
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if not variable.path.endswith(tiny.unreached):
            assert np.abs(gradient).max() > 0, variable.path


@every_architecture
def test_bfloat16_policy_gives_float32_logits_near_the_float32_ones(architecture):
    model = tiny_model(architecture)
    keras.config.set_dtype_policy("mixed_bfloat16")
    low_precision = tiny_model(architecture)
    low_precision.set_weights(model.get_weights())
    logits, expected = low_precision(inputs_for(model)), model(inputs_for(model)).numpy()
    assert logits.dtype == "float32"
    np.testing.assert_allclose(logits, expected, atol=0.02 + 0.02 * np.abs(expected).max())


LOAD_AND_TRAIN = """
import sys
import keras, numpy as np
import mixer_tf

for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    data = np.load(path + ".npz")
    inputs = {"image": data["image"], "masked_units": data["masked_units"]}
    np.testing.assert_allclose(model(inputs), data["logits"], rtol=1e-4, atol=1e-5)
    assert model.preprocessing.mean == (0.1, 0.2, 0.3), model.preprocessing
    before = model.get_layer("mask_tile").tile.numpy()
    model.train_on_batch(inputs, data["labels"], sample_weight=data["weights"])
    assert np.abs(model.get_layer("mask_tile").tile - before).max() > 0
    print("equal", path)
"""


def test_keras_file_loads_in_a_new_process_and_goes_on_training(tmp_path):
    paths = []
    for architecture in TINY:
        model = tiny_model(architecture)
        inputs, labels = inputs_for(model), np.random.default_rng(3).integers(0, 512, (3, *model.output.shape[1:3]))
        model.preprocessing = Preprocessing(model.input["image"].shape[1:3], mean=(0.1, 0.2, 0.3))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
        path = str(tmp_path / f"{architecture}.keras")
        model.save(path)
        weights = (labels % 2).astype("float32")
        np.savez(f"{path}.npz", **inputs, logits=model(inputs).numpy(), labels=labels, weights=weights)
        paths.append(path)
    command = [sys.executable, "-c", LOAD_AND_TRAIN, *paths]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.stdout.count("equal") == len(TINY), process.stderr


def test_backbone_learns_with_the_model():
    backbone = backbone_of("vit")
    model = masked_image_model(backbone, patch_size=4)
    images = inputs_for(model)
    before = backbone(images["image"]).numpy()
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.random.default_rng(3).integers(0, 9, (3, 6, 10))
    losses = model.fit(images, labels, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 1
    assert np.abs(backbone(images["image"]) - before).max() > 0.01


@pytest.mark.parametrize(
    ("patch_size", "unit", "grid"), [(2, 8, (12, 20)), (4, 8, (6, 10)), (8, 8, (3, 5))]
)  # stride 8
def test_geometry_where_patches_are_no_larger_than_the_stride(patch_size, unit, grid):
    backbone = backbone_of("mlp_mixer")
    model = masked_image_model(backbone, patch_size=patch_size)
    assert unit_of(backbone, patch_size) == unit
    assert model.input["masked_units"].shape == (None, 3, 5)
    assert model.output.shape == (None, *grid, 512)


def test_geometry_where_patches_are_larger_than_the_stride():
    backbone = backbone_of("resnet", image_shape=(32, 48, 3))  # stride 8
    model = masked_image_model(backbone, patch_size=16)
    assert unit_of(backbone) == 16
    assert model.input["masked_units"].shape == (None, 2, 3)
    assert model.output.shape == (None, 2, 3, 512)
    model(inputs_for(model))


def test_each_patch_is_predicted_from_the_features_of_its_own_place():
    backbone = backbone_of("mlp_mixer")
    model = masked_image_model(backbone, patch_size=4)
    inputs = inputs_for(model)
    head = model.get_layer("head_patches")
    features = keras.Model(model.input, model.get_layer("head_input").output)(inputs).numpy()
    logits = model(inputs).numpy()
    for row, column in ((0, 0), (3, 6), (5, 9)):
        place = features[:, row // 2, column // 2] @ head.kernel.numpy()  # [b, 4 * 512]
        patch = 2 * (row % 2) + column % 2
        np.testing.assert_allclose(logits[:, row, column], place[:, patch * 512 : (patch + 1) * 512], atol=1e-5)


def test_patches_larger_than_the_stride_see_the_mean_of_their_places():
    model = masked_image_model(backbone_of("resnet", image_shape=(32, 48, 3)), patch_size=16)
    inputs = inputs_for(model)
    features = keras.Model(model.input, model.get_layer("head_input").output)(inputs).numpy()
    pooled = features.reshape(3, 2, 2, 3, 2, -1).mean(axis=(2, 4))
    np.testing.assert_allclose(model(inputs), pooled @ model.get_layer("head_patches").kernel.numpy(), atol=1e-5)


def test_tile_stands_where_it_is_asked_for():
    model = masked_image_model(backbone_of("mlp_mixer"), patch_size=8)
    layer = model.get_layer("mask_tile")
    inputs = inputs_for(model)
    covered = layer([inputs["image"], inputs["masked_units"]]).numpy()
    for picture, row, column in np.ndindex(inputs["masked_units"].shape):
        place = picture, slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
        masked = inputs["masked_units"][picture, row, column]
        np.testing.assert_array_equal(covered[place], layer.tile if masked else inputs["image"][place])


def test_target_pixels_gives_as_many_values_as_a_patch_has():
    model = tiny_model("gmlp", patch_size=4, target="pixels")
    assert model.output.shape == (None, 6, 10, 48)


def test_preprocessing_of_the_backbone_goes_to_the_model():
    backbone = backbone_of("mlp_mixer")
    backbone.preprocessing = Preprocessing((24, 40), mean=(0.1, 0.2, 0.3))
    assert masked_image_model(backbone, patch_size=8).preprocessing == backbone.preprocessing


@pytest.mark.parametrize(
    ("architecture", "image_shape", "arguments", "sentence"),
    [
        ("vit", None, {"patch_size": 12}, "patch_size must be a .* stride 8 of vit; given: 12; nearest: 8"),
        ("vit", None, {"patch_size": 0}, "patch_size must be at least 1; given: 0"),
        ("vit", None, {"patch_size": "4"}, "patch_size must be int; given: '4'"),
        ("vit", None, {"target": "color"}, "target must be one of colors, pixels; given: 'color'"),
        (
            "resnet",
            (24, 40, 3),
            {"patch_size": 16},
            r"divisible by units of 16 pixels, and hold at least two .*; given: \(24, 40\); nearest: \(32, 32\)",
        ),
        ("conv_mlp", (22, 37, 3), {"patch_size": 4}, r"stride 16 of conv_mlp.*\(22, 37\); nearest: \(16, 32\)"),
        ("conv_mlp", (22, 33, 3), {"patch_size": 11}, r"stride 16 of conv_mlp.*\(22, 33\); nearest: \(16, 32\)"),
        ("mlp_mixer", (8, 8, 3), {"patch_size": 4}, r"given: \(8, 8\); nearest: \(8, 16\)"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, image_shape, arguments, sentence):
    backbone = tiny_backbone(architecture, image_shape=image_shape)
    with pytest.raises(ValueError, match=sentence):
        masked_image_model(backbone, **{"patch_size": 8, **arguments})


@pytest.mark.parametrize("build", [lambda: tiny_encoder("bert"), lambda: mt.classifier(tiny_backbone("vit"), 4)])
def test_a_model_that_gives_no_grid_is_refused(build):
    with pytest.raises(ValueError, match=r"must continue a backbone that reads pictures, one of .*; given: (bert|vit)"):
        masked_image_model(build())


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="backbone must be Model; given: 'vit'"):
        masked_image_model("vit")
