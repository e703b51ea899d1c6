"""What must hold for every backbone, on its tiny form."""

import itertools
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.training.optimizers import create_optimizer
from tests.backbones.tiny import TINY, tiny_backbone, tiny_classifier, tiny_images

every_architecture = pytest.mark.parametrize("architecture", TINY)


@every_architecture
def test_output_is_a_grid_and_every_level_of_the_pyramid_has_its_stride(architecture):
    backbone, tiny = tiny_backbone(architecture), TINY[architecture]
    height, width, _ = tiny.image_shape
    levels = {layer.name: layer.output.shape for layer in backbone.layers if re.fullmatch(r"P\d", layer.name)}
    for (level, shape), stride in zip(levels.items(), tiny.strides, strict=True):
        assert level == f"P{stride.bit_length() - 1}"
        assert shape[1:3] == (-(-height // stride), -(-width // stride)), level
    assert backbone.output.shape == shape


@every_architecture
def test_graph_is_flat(architecture):
    assert not any(isinstance(layer, keras.Model) for layer in tiny_classifier(architecture).layers)


@every_architecture
def test_weights_have_the_same_names_however_often_the_model_is_built(architecture):
    first, second = ([weight.path for weight in tiny_classifier(architecture).weights] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)
    assert all(path.count("/") == 1 for path in first)


@every_architecture
def test_one_picture_gives_the_same_row_as_in_a_batch(architecture):
    model, batch = tiny_classifier(architecture), tiny_images(architecture)
    row = model(batch)[1].numpy()
    resolution = max(1.0, np.abs(row).max())  # of a sum in float32, which a product of another shape adds up otherwise
    np.testing.assert_allclose(model(batch[1:2])[0], row, rtol=1e-7, atol=1e-6 * resolution)


@every_architecture
def test_bfloat16_policy_gives_float32_logits_near_the_float32_ones(architecture):
    model, batch = tiny_classifier(architecture), tiny_images(architecture)
    keras.config.set_dtype_policy("mixed_bfloat16")
    low_precision = tiny_classifier(architecture)
    low_precision.set_weights(model.get_weights())
    logits = low_precision(batch)
    assert logits.dtype == "float32"
    expected = model(batch).numpy()
    np.testing.assert_allclose(logits, expected, atol=0.05 + 0.02 * np.abs(expected).max())


@every_architecture
def test_a_gradient_reaches_every_weight_with_drop_path_and_dropout(architecture):
    model = tiny_classifier(architecture, **TINY[architecture].to_train)
    with tf.GradientTape() as tape:
        logits = model(tiny_images(architecture, batch=5), training=True)[:, 0]
        loss = tf.reduce_sum(logits**3)  # after a batch norm the logits sum to 0, and so would the gradient of squares
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if variable.path.endswith(TINY[architecture].unreached):
            continue
        assert np.abs(gradient).max() > 0, variable.path


@every_architecture
def test_builder_refuses_an_unknown_activation(architecture):
    with pytest.raises(ValueError, match="activation must be one of gelu, gelu_tanh, relu, silu; given: 'tanhh'"):
        tiny_backbone(architecture, activation="tanhh")


LOAD_AND_TRAIN = """
import sys
import keras, numpy as np
import mixer_tf

keras.utils.set_random_seed(3)
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    data = np.load(path + ".npz")
    np.testing.assert_allclose(model.predict(data["images"], verbose=0), data["before"], rtol=1e-4, atol=1e-5)
    assert model.preprocessing.mean == (0.1, 0.2, 0.3), model.preprocessing
    model.fit(data["images"], data["labels"], batch_size=len(data["images"]), epochs=1, verbose=0)
    np.testing.assert_allclose(model.predict(data["images"], verbose=0), data["after"], rtol=1e-4, atol=1e-5)
    print("equal", path)
"""


def test_keras_file_loads_in_a_new_process_and_goes_on_training(tmp_path):
    labels, paths = np.eye(4, dtype="float32")[[0, 2, 3]], []
    for architecture in TINY:
        model, batch = tiny_classifier(architecture), tiny_images(architecture)
        model.preprocessing = Preprocessing(model.input_shape[1:3], mean=(0.1, 0.2, 0.3))
        model.compile(
            # not Adam: it blows up the rounding noise of gradients that are zero but for rounding
            create_optimizer("sgd", learning_rate=1e-2, weight_decay=0.1, ema=0.9),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            run_eagerly=True,  # three steps of two dozen models are not worth their graphs
        )
        model.fit(batch, labels, batch_size=3, epochs=2, verbose=0)
        path = str(tmp_path / f"{architecture}.keras")
        model.save(path)
        before = model.predict(batch, verbose=0)
        model.fit(batch, labels, batch_size=3, epochs=1, verbose=0)
        np.savez(f"{path}.npz", images=batch, labels=labels, before=before, after=model.predict(batch, verbose=0))
        paths.append(path)
    process = subprocess.run(
        [sys.executable, "-c", LOAD_AND_TRAIN, *paths], capture_output=True, text=True, check=False
    )
    assert process.stdout.count("equal") == len(TINY), process.stderr


def test_names_are_found_by_pattern_in_the_order_of_the_story():
    assert mt.list_backbones("*_s16") == ["vit_s16", "mlp_mixer_s16", "gmlp_s16"]
    assert mt.list_backbones()[0] == "resnet18"


def test_unknown_backbone_names_the_nearest():
    with pytest.raises(ValueError, match=r"given: 'mlp_mixer_b17'; nearest: mlp_mixer_b16"):
        mt.create_backbone("mlp_mixer_b17")


def test_unknown_argument_names_the_known_ones():
    with pytest.raises(ValueError, match=r"resnet50 takes no argument patch_size; it takes .*stem_dim"):
        mt.create_backbone("resnet50", patch_size=3)


def test_bare_architecture_names_what_is_missing():
    with pytest.raises(ValueError, match=r"vit needs the arguments .*; missing: num_heads, mlp_dim"):
        mt.create_backbone("vit", (16, 24, 3), patch_size=8, num_blocks=1, hidden_dim=6)


@pytest.mark.parametrize("architecture", ["mlp_mixer", "vit"])
def test_image_that_the_patch_does_not_tile_names_the_nearest_that_it_does(architecture):
    with pytest.raises(ValueError, match=r"\(25, 40, 3\) must be divisible by patch_size 8; nearest: \(24, 40, 3\)"):
        tiny_backbone(architecture, image_shape=(25, 40, 3))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_blocks": -1}, "num_blocks must be at least 1; given: -1"),
        ({"num_blocks": "abc"}, "num_blocks must be int; given: 'abc'"),
        ({"patch_size": 0}, "patch_size must be at least 1; given: 0"),
        ({"num_heads": 0}, "num_heads must be at least 1; given: 0"),
        ({"norm_epsilon": "abc"}, "norm_epsilon must be float; given: 'abc'"),
        ({"dropout": 2}, r"dropout must be in \[0, 1\); given: 2"),
        (
            {"image_shape": (24, 40)},
            r"image_shape must be \(height, width, channels\), .*; given: \(24, 40\)",
        ),
        ({"image_shape": (0, 40, 3)}, "image_shape must be"),
        ({"image_shape": 224}, "image_shape must be .*; given: 224"),
    ],
)
def test_wrong_value_of_an_argument_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("vit", **arguments)


@pytest.mark.parametrize("depths", [3, (0, 0), ("a", "b")])
def test_wrong_stage_depths_are_refused(depths):
    with pytest.raises(ValueError, match="stage_depths must be"):
        tiny_backbone("resnet", stage_depths=depths)


OPTIMIZERS = ("adamw", "sgd", "lamb")


@pytest.mark.parametrize(("architecture", "optimizer"), zip(TINY, itertools.cycle(OPTIMIZERS), strict=False))
def test_every_backbone_trains_with_one_of_the_optimizers(architecture, optimizer):
    model, batch, labels = tiny_classifier(architecture), tiny_images(architecture), np.eye(4)[[0, 2, 3]]
    rules = {"weight_decay": 0.01, "layer_decay": 0.9, "clip_norm": 1.0, "ema": 0.9}
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    in_a_graph = architecture in (
        "resnet",
        "vit",
        "mlp_mixer",
    )  # one with each optimizer; tracing takes most of the time
    model.compile(create_optimizer(optimizer, learning_rate=0.01, **rules), loss, run_eagerly=not in_a_graph)
    losses = model.fit(batch, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
