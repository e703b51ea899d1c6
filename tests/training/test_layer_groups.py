import keras
import numpy as np
import pytest

from mixer_tf.training.layer_groups import freeze, layer_decay_scales, layer_groups
from mixer_tf.training.optimizers import create_optimizer


def isotropic(num_blocks=2):
    """stem, blocks of a norm and a Dense, norm, head."""
    image = keras.Input((6,))
    x = keras.layers.Dense(5, name="stem_embedding")(image)
    for i in range(num_blocks):
        y = keras.layers.LayerNormalization(name=f"block{i}_norm")(x)
        y = keras.layers.Dense(5, name=f"block{i}_fc")(y)
        x = keras.layers.Add(name=f"block{i}_add")([x, keras.layers.Dropout(0.1, name=f"block{i}_dropout")(y)])
    x = keras.layers.LayerNormalization(name="norm")(x)
    return keras.Model(image, keras.layers.Dense(3, name="head")(x))


def hierarchical():
    """Two stages of convolutions with batch norms, a downsampling between them, a shortcut, and the head."""
    image = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 1, name="stem")(image)
    for block in (1, 2):
        x = convolution(x, 4, f"stage1_block{block}")
    x = keras.layers.Conv2D(5, 1, strides=2, name="stage2_downsample")(x)
    y = convolution(x, 7, "stage2_block1")
    x = keras.layers.Add(name="P3")([y, keras.layers.Conv2D(7, 1, name="stage2_block1_shortcut")(x)])
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(image, keras.layers.Dense(2, name="head")(x))


def convolution(x, channels, name):
    x = keras.layers.Conv2D(channels, 1, name=f"{name}_conv")(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)


def names(groups):
    return [{layer.name for layer in group} for group in groups]


def test_groups_of_an_isotropic_network():
    expected = [{"stem_embedding"}, {"block0_norm", "block0_fc"}, {"block1_norm", "block1_fc"}, {"norm", "head"}]
    assert names(layer_groups(isotropic())) == expected


def test_groups_of_a_hierarchical_network():
    assert names(layer_groups(hierarchical())) == [
        {"stem"},
        {"stage1_block1_conv", "stage1_block1_norm"},
        {"stage1_block2_conv", "stage1_block2_norm"},
        {"stage2_downsample", "stage2_block1_conv", "stage2_block1_norm", "stage2_block1_shortcut"},
        {"head"},
    ]


def test_block_10_is_not_block_1():
    groups = names(layer_groups(isotropic(num_blocks=12)))
    assert groups[2] == {"block1_norm", "block1_fc"}
    assert groups[11] == {"block10_norm", "block10_fc"}


def test_scales_fall_towards_the_input():
    variables = isotropic().trainable_variables
    scales = {v.path: s for v, s in zip(variables, layer_decay_scales(variables, 0.5), strict=True)}
    layer_scales = {"stem_embedding": 0.125, "block0_norm": 0.25, "block0_fc": 0.25, "block1_norm": 0.5}
    layer_scales |= {"block1_fc": 0.5, "norm": 1.0, "head": 1.0}
    assert scales == {v.path: layer_scales[v.path.split("/")[0]] for v in variables}


def test_scales_of_the_trained_part_do_not_depend_on_the_frozen_part():
    model = isotropic()
    freeze(model, up_to="block0")
    paths = [variable.path for variable in model.trainable_variables]
    assert paths[0].startswith("block1")
    assert layer_decay_scales(model.trainable_variables, 0.5) == [0.5] * 4 + [1.0] * 4


@pytest.mark.parametrize(
    ("up_to", "trained"),
    [
        ("stem", {"block0_norm", "block0_fc", "block1_norm", "block1_fc", "norm", "head"}),
        ("block0", {"block1_norm", "block1_fc", "norm", "head"}),
        ("block1", {"norm", "head"}),
        ("backbone", {"head"}),
    ],
)
def test_freeze_an_isotropic_network(up_to, trained):
    model = isotropic()
    total = model.count_params()
    frozen = freeze(model, up_to)
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == trained
    assert frozen == total - sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(("up_to", "groups"), [("stem", 1), ("stage1_block1", 2), ("stage1", 3), ("stage2", 4)])
def test_freeze_a_hierarchical_network(up_to, groups):
    model = hierarchical()
    freeze(model, up_to)
    assert [{layer.trainable for layer in group} for group in layer_groups(model)] == [
        {number >= groups} for number in range(5)
    ]


def test_frozen_layers_and_their_batch_statistics_stay():
    model = hierarchical()
    freeze(model, up_to="stage1")
    model.compile(create_optimizer("sgd", learning_rate=0.1), "mse")
    before = {variable.path: variable.numpy() for variable in model.variables}
    rng = np.random.default_rng(2)
    model.fit(rng.normal(3.0, size=(4, 8, 6, 3)), rng.normal(size=(4, 2)), verbose=0)
    changed = {v.path for v in model.variables if np.any(v.numpy() != before[v.path])}
    assert changed == {v.path for v in model.variables if not v.path.startswith(("stem", "stage1"))}


def test_unknown_part_names_the_legal_ones():
    with pytest.raises(ValueError, match="one of stem, backbone, block0, block1; given: 'block7'"):
        freeze(isotropic(), up_to="block7")


def test_network_without_blocks():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")])
    with pytest.raises(ValueError, match="given: head"):
        layer_groups(model)
