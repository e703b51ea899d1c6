"""RaftMLP's multi-level head."""

import numpy as np

import mixer_tf as mt
from tests.backbones.tiny import tiny_backbone, tiny_images


def multi_level(architecture="raft_mlp", **arguments):
    return mt.classifier(tiny_backbone(architecture, **arguments), 4, pool="multi_level")


def test_shallow_levels_scale_and_shift_the_deepest():
    model, images = multi_level(), tiny_images("raft_mlp")
    head, projection = model.get_layer("head"), model.get_layer("head_level1_projection")
    head.kernel.assign(np.random.default_rng(0).normal(size=head.kernel.shape))
    projection.kernel.assign(np.zeros(projection.kernel.shape))
    scale, shift = np.linspace(-1, 2, 12), np.linspace(3, 1, 12)
    projection.bias.assign(np.concatenate([scale, shift]))
    plain = mt.classifier(tiny_backbone("raft_mlp"), 4)
    for layer in plain.layers:
        if layer.weights:
            source = "head_level2_norm" if layer.name == "norm" else layer.name
            layer.set_weights(model.get_layer(source).get_weights())
    pooled = plain.get_layer("head_pool").output
    vector = type(plain)(plain.input, pooled)(images).numpy()
    np.testing.assert_allclose(model(images), (scale * vector + shift) @ head.kernel.numpy(), atol=1e-4)


def test_backbones_last_norm_has_no_part_in_it():
    names = {layer.name for layer in multi_level().layers}
    assert "norm" not in names
    assert {"head_level1_norm", "head_level1_projection", "head_level2_norm"} <= names
    assert "head_level2_projection" not in names


def test_epsilon_is_the_backbones_own():
    assert multi_level(norm_epsilon=1e-3).get_layer("head_level1_norm").epsilon == 1e-3


def test_stages_of_one_stride_all_count():
    model = multi_level(
        patch_sizes=(4, 1), raft_sizes=(2, 2), stage_widths=(10, 10), embedding_kernels=None, stage_depths=(1, 1)
    )
    assert model.get_layer("head_level1_projection").kernel.shape == (10, 20)


def test_any_pyramid_may_have_it():
    model = multi_level("resnet")
    assert model(tiny_images("resnet")).shape == (3, 4)
