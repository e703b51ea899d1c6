"""RepMLPNet: its own idea, and what it refuses."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.backbones.rep_mlp_net import merged
from mixer_tf.data.preprocess import Preprocessing
from tests.backbones.tiny import tiny_backbone, tiny_classifier, tiny_images


def trained(model):
    """Every weight random, moving statistics included."""
    random = np.random.default_rng(0)
    for variable in model.weights:
        value = random.normal(scale=0.5, size=variable.shape)
        variable.assign(np.abs(value) + 0.5 if variable.path.endswith("moving_variance") else value)
    return model


@pytest.mark.parametrize(
    "arguments", [{}, {"local_kernels": (3, 5)}, {"local_kernels": None}, {"tile_sizes": None}], ids=str
)
def test_merged_network_computes_the_same(arguments):
    model, images = trained(tiny_classifier("rep_mlp_net", **arguments)), tiny_images("rep_mlp_net")
    network = merged(model)
    expected = model(images).numpy()
    np.testing.assert_allclose(network(images), expected, atol=1e-5 * np.abs(expected).max())


def test_merged_network_is_the_deploy_form_and_has_no_convolutions_in_its_blocks():
    network = merged(tiny_classifier("rep_mlp_net"))
    deploy = mt.classifier(tiny_backbone("rep_mlp_net", deploy=True), 4)
    shapes = {variable.path: variable.shape for variable in deploy.weights}
    assert {variable.path: variable.shape for variable in network.weights} == shapes
    assert not any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in network.layers)


def test_merging_a_backbone_keeps_its_levels_and_preprocessing_and_leaves_it_alone():
    backbone = trained(tiny_backbone("rep_mlp_net"))
    backbone.preprocessing = Preprocessing((24, 40), mean=(0.1, 0.2, 0.3))
    before = [weight.copy() for weight in backbone.get_weights()]
    network = merged(backbone)
    assert network.get_layer("P2").output.shape == (None, 6, 10, 8)
    assert network.preprocessing == backbone.preprocessing
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_merged_network_loads_again(tmp_path):
    network, images = merged(trained(tiny_classifier("rep_mlp_net"))), tiny_images("rep_mlp_net")
    network.save(tmp_path / "merged.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "merged.keras")(images), network(images))


def test_what_cannot_be_merged_is_refused():
    for model in (tiny_backbone("rep_mlp_net", deploy=True), tiny_backbone("resnet")):
        with pytest.raises(ValueError, match="model must be a RepMLPNet that is not merged yet; given: "):
            merged(model)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image_shape": (24, 48, 3)}, r"divisible by 24x40, so that every stage .*nearest: \(24, 40, 3\)"),
        ({"num_sets": (3, 3)}, r"num_sets must divide stage_widths; given: \(3, 3\) and \(8, 12\)"),
        ({"num_sets": (2,)}, "num_sets must have one value per stage; given: 1 values, 2 stages"),
        ({"local_kernels": (1, 2)}, r"local_kernels must be odd; given: \(1, 2\)"),
        ({"tile_sizes": ((3, 5), (0, 5))}, r"tile_sizes must be at least 1; given: \(\(3, 5\), \(0, 5\)\)"),
        ({"gate_reduction": 9}, "gate_reduction must be at most 8; given: 9"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("rep_mlp_net", **arguments)


def test_published_networks_have_the_size_they_are_for_and_name_it():
    assert mt.create_backbone("rep_mlp_net_t256").input_shape == (None, 256, 256, 3)
    with pytest.raises(ValueError, match=r"\(224, 224, 3\) must be divisible by 256x256, .*nearest: \(256, 256, 3\)"):
        mt.create_backbone("rep_mlp_net_t256", (224, 224, 3))
