"""Weights of another image size: what is resized, by which rule, and what is left for the check of shapes."""

import dataclasses
import types

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.layers.tokens import PositionEmbedding
from mixer_tf.weights import load_weights, save_weights
from mixer_tf.weights.layout import Binding
from mixer_tf.weights.layouts import layout_named
from mixer_tf.weights.resizing import Grids, axis, positions, segments, spectrum, tiles, tokens
from tests.weights.small_models import (
    eamlp,
    ff_only,
    gfnet,
    gmlp,
    mlp_mixer,
    raft_mlp,
    random_arrays,
    rep_mlp_net,
    resmlp,
    resnet,
    smlp_net,
    vip,
)

NO_GRIDS = Grids(None, None)


def layer(grid, prefix=1, channels=2, stored_grid=None):
    layer = PositionEmbedding(grid, stored_grid)
    layer.build((None, prefix + grid[0] * grid[1], channels))
    return layer


def table(grid, prefix=1, channels=2):
    return np.random.default_rng(0).standard_normal((1, prefix + grid[0] * grid[1], channels), np.float32)


def fit_positions(layer, table, stored):
    """The table and a note, from the rule of position tables."""
    binding = Binding(layer, layer.table, ("pos_embed",), None, tuple(layer.table.shape))
    result = positions()(table, binding, Grids(layer.grid, stored))
    return (result[0], "{}x{} -> {}x{}".format(*result[1], *result[2])) if result else (table, "")


def binding_for(*shape):
    variable = keras.Variable(np.zeros(shape, "float32"))
    return Binding(None, variable, ("kernel",), None, shape)


def test_the_same_grid_is_untouched():
    given = table((3, 3))
    fitted, note = fit_positions(layer((3, 3)), given, None)
    assert fitted is given
    assert note == ""


# torch 2.13.0: F.interpolate(table, size, mode="bicubic", antialias=True, align_corners=False), which timm calls.
TORCH = [
    (
        (np.arange(1, 10) ** 2).reshape(3, 3),
        [
            [0.013658171519637108, 0.9488749504089355, 2.902985095977783, 6.0660505294799805, 7.94325590133667],
            [7.607604026794434, 9.936227798461914, 14.42563247680664, 20.123991012573242, 23.394603729248047],
            [28.489471435546875, 32.847694396972656, 41.02993392944336, 50.42112731933594, 55.721336364746094],
            [49.56814956665039, 55.319786071777344, 66.03731536865234, 77.96379852294922, 84.65741729736328],
        ],
    ),
    (
        ((np.arange(16) - 5) ** 2).reshape(4, 4),
        [
            [10.249598503112793, 5.582335948944092, 4.208125114440918],
            [27.636363983154297, 42.11125946044922, 59.87921142578125],
        ],
    ),
]


@pytest.mark.parametrize(("given", "expected"), TORCH)
def test_torch_resizes_to_the_same_numbers(given, expected):
    given, expected = np.asarray(given, np.float32), np.asarray(expected, np.float32)
    class_row = np.full((1, 1, 1), 42, np.float32)
    stored = np.concatenate([class_row, given.reshape(1, -1, 1)], axis=1)
    fitted, note = fit_positions(layer(expected.shape, channels=1), stored, None)
    assert fitted[0, 0, 0] == 42
    np.testing.assert_allclose(fitted[0, 1:, 0], expected.ravel(), rtol=1e-6, atol=1e-5)
    assert note == "{}x{} -> {}x{}".format(*given.shape, *expected.shape)


def test_a_smooth_table_comes_back():
    rows, columns = np.meshgrid(np.linspace(0, np.pi, 8), np.linspace(0, np.pi, 8), indexing="ij")
    smooth = np.stack([np.sin(rows), np.cos(columns)], axis=-1).reshape(1, 64, 2).astype(np.float32)
    larger, _ = fit_positions(layer((16, 24), prefix=0), smooth, None)
    back, _ = fit_positions(layer((8, 8), prefix=0), larger, (16, 24))
    np.testing.assert_allclose(back, smooth, atol=0.03)


def test_the_file_may_know_its_grid():
    fitted, note = fit_positions(layer((4, 4)), table((2, 8)), (2, 8))
    assert fitted.shape == (1, 17, 2)
    assert note == "2x8 -> 4x4"


def test_without_metadata_a_square_number_of_patches_is_square():
    _, note = fit_positions(layer((2, 8)), table((4, 4)), None)
    assert note == "4x4 -> 2x8"


def test_the_grid_that_is_stored_counts():
    given = table((4, 4))
    fitted, note = fit_positions(layer((2, 3), stored_grid=(4, 4)), given, None)
    assert fitted is given
    assert note == ""


@pytest.mark.parametrize(
    "given",
    [
        table((2, 3)),  # no square, and the layer is of another size
        table((3, 3), prefix=0),  # no class token
        table((3, 3), channels=3),
        np.zeros((1, 1, 2), np.float32),
        np.zeros((10, 2), np.float32),
    ],
)
def test_what_cannot_be_understood_is_left_for_the_shape_check(given):
    fitted, note = fit_positions(layer((4, 5)), given, None)
    assert fitted is given
    assert note == ""


def smooth_kernel(inputs, outputs):
    """A kernel over tokens of two grids that changes slowly along every row and column."""
    waves = [np.sin(np.linspace(0.3, 0.3 + np.pi, side)) for side in (*inputs, *outputs)]
    kernel = np.einsum("a,b,c,d->abcd", *waves).reshape(inputs[0] * inputs[1], -1)
    return kernel.astype(np.float32)


@pytest.mark.parametrize(("rule", "shape"), [(tokens(inputs=(0,)), (16, 5)), (axis(inputs=(0,), outputs=(1,)), (7, 7))])
def test_the_same_size_is_the_identity(rule, shape):
    assert rule(np.ones(shape), binding_for(*shape), Grids((4, 4), None)) is None


def test_a_smooth_token_kernel_comes_back():
    """Up from 8x8 to 12x12 tokens and back: within 5 % of its largest value."""
    rule, kernel = tokens(inputs=(0,), outputs=(1,)), smooth_kernel((8, 8), (8, 8))
    larger, old, new = rule(kernel, binding_for(144, 144), Grids((12, 12), None))
    assert (old, new) == ((8, 8), (12, 12))
    back, _, _ = rule(larger, binding_for(64, 64), Grids((8, 8), None))
    np.testing.assert_allclose(back, kernel, atol=0.05)


def test_products_keep_their_size_when_the_tokens_become_more():
    """A smooth picture seen by twice as many rows and columns of patches gives nearly the same hidden units."""
    kernel = smooth_kernel((8, 8), (3, 1))
    larger, _, _ = tokens(inputs=(0,))(kernel, binding_for(256, 3), Grids((16, 16), None))

    def picture(side):
        ramp = (np.arange(side) + 0.5) / side
        return np.outer(ramp, np.cos(ramp)).ravel()

    np.testing.assert_allclose(picture(16) @ larger, picture(8) @ kernel, rtol=0.02)


def test_class_tokens_stay_as_they_are():
    kernel = np.random.default_rng(0).normal(size=(10, 5))
    larger, _, _ = tokens(inputs=(0,), prefix=1)(kernel, binding_for(17, 5), Grids((4, 4), None))
    np.testing.assert_array_equal(larger[0], kernel[0])
    assert larger.shape == (17, 5)


def test_an_axis_kernel_comes_back():
    wave = np.sin(np.linspace(0, np.pi, 9))
    kernel = np.outer(wave, wave)
    rule = axis(inputs=(0,), outputs=(1,))
    larger, _, _ = rule(kernel, binding_for(14, 14), Grids(None, None))
    back, _, _ = rule(larger, binding_for(9, 9), Grids(None, None))
    np.testing.assert_allclose(back, kernel, atol=0.05)


# torch 2.13.0: F.interpolate(values, size=(5, 4), mode="bicubic", align_corners=True), which GFNet's loader calls.
VALUES = [[0, 1, 4], [9, 16, 25], [36, 49, 64], [81, 100, 121]]
ALIGNED = [
    [0.0, 0.35185185, 2.05555556, 4.0],
    [4.11328125, 6.76591435, 11.88368056, 16.12890625],
    [19.125, 24.64351852, 34.01388889, 41.125],
    [49.04296875, 57.42737268, 71.05034722, 81.02734375],
    [81.0, 91.68518519, 108.72222222, 121.0],
]


def test_a_spectrum_is_resized_as_torch_does_with_aligned_corners():
    filters = np.stack(2 * [np.stack(3 * [VALUES], axis=-1)], axis=-1).astype(float)
    larger, old, new = spectrum(filters, binding_for(5, 4, 3, 2), Grids(None, None))
    assert (old, new) == ((4, 3), (5, 4))
    for channel, part in ((0, 0), (2, 1)):
        np.testing.assert_allclose(larger[..., channel, part], ALIGNED, rtol=1e-6)
    assert spectrum(filters, binding_for(4, 3, 3, 2), Grids(None, None)) is None


def test_mixer_of_another_image_size():
    arrays = random_arrays(mlp_mixer((24, 24, 3)), "mlp_mixer", "timm")
    model = mlp_mixer((16, 40, 3))
    report = load_weights(model, arrays)
    assert len(report.resized) == 2 * 3
    assert report.resized[0] == "blocks.0.mlp_tokens.fc1.weight 3x3 -> 2x5"
    bias = arrays["blocks.1.mlp_tokens.fc1.bias"]  # of the hidden units, which are no tokens
    np.testing.assert_array_equal(model.get_layer("block1_token_mixing_fc1").bias, bias)


def test_our_files_of_a_mixer_know_their_grid(tmp_path):
    first, second, third = mlp_mixer((16, 64, 3)), mlp_mixer((16, 64, 3)), mlp_mixer((32, 32, 3))
    path = save_weights(first, tmp_path / "w.safetensors", layout="timm")
    assert load_weights(second, path).resized == ()
    assert load_weights(third, path).resized[0] == "blocks.0.mlp_tokens.fc1.weight 2x8 -> 4x4"
    with pytest.raises(ValueError, match=r"2x8 patches need a \.safetensors file"):
        save_weights(first, tmp_path / "w.npz", layout="timm")


def test_a_smooth_spectrum_comes_back():
    """Within 5 % of its largest value, from 7x4 over 14x8 frequencies."""
    rows, columns = np.meshgrid(np.linspace(0, 2, 7), np.linspace(0, 2, 4), indexing="ij")
    filters = np.stack([np.sin(rows), np.cos(columns)], axis=-1)[..., None].repeat(2, axis=-1)
    larger, _, _ = spectrum(filters, binding_for(14, 8, 2, 2), NO_GRIDS)
    back, _, _ = spectrum(larger, binding_for(7, 4, 2, 2), NO_GRIDS)
    np.testing.assert_allclose(back, filters, atol=0.05)


def test_a_smooth_tile_kernel_comes_back():
    """Within 5 % of its largest value, from 8x8 over 12x12 pixels."""
    kernel = smooth_kernel((8, 8), (8, 8))[None]  # one set: [set, out, in]
    layer = types.SimpleNamespace(num_sets=1, tile=(12, 12))
    larger, _, _ = tiles(kernel.reshape(64, 64), dataclasses.replace(binding_for(1, 144, 144), layer=layer), NO_GRIDS)
    layer.tile = (8, 8)
    back, _, _ = tiles(larger.reshape(144, 144), dataclasses.replace(binding_for(1, 64, 64), layer=layer), NO_GRIDS)
    np.testing.assert_allclose(back, kernel, atol=0.05)


def test_a_smooth_kernel_of_segments_comes_back():
    """Within 10 % of its largest value, from 8 places of 16 channels over 16 places of 8, which halves the channels."""
    kernel = smooth_kernel((8, 16), (8, 16))
    binding = dataclasses.replace(binding_for(128, 128), layer=types.SimpleNamespace(name="stage1_block1_rows"))
    larger, _, _ = segments(kernel, binding, Grids((16, 16), (8, 8), stages={"stage1": (16, 16)}))
    back, _, _ = segments(larger, binding, Grids((8, 8), (16, 16), stages={"stage1": (8, 8)}))
    np.testing.assert_allclose(back, kernel, atol=0.1)


OTHER_SIZES = {  # builder, arguments for a second size, layout
    "mlp_mixer": (mlp_mixer, {}, "timm"),
    "ff_only": (lambda shape: mt.classifier(ff_only(shape), 4), {}, "authors"),  # its class token has no pyramid level
    "resmlp": (resmlp, {}, "facebook"),
    "gmlp": (gmlp, {}, "timm"),
    "gfnet": (gfnet, {}, "authors"),
    "smlp_net": (smlp_net, {}, "authors"),
    "rep_mlp_net": (lambda shape, **sizes: rep_mlp_net(shape, tile_sizes=None, **sizes), {}, "authors"),
    "vip": (lambda shape, **sizes: vip(shape, stage_widths=(12, 12, 12), **sizes), {"segments": (6, 6, 3)}, "authors"),
}


@pytest.mark.parametrize("architecture", OTHER_SIZES)
def test_weights_of_another_image_size_are_resized_and_the_rest_is_untouched(tmp_path, architecture):
    build, second, layout = OTHER_SIZES[architecture]
    small, large, again = build((32, 32, 3)), build((48, 48, 3), **second), build((32, 32, 3))
    arrays = random_arrays(small, architecture, layout)
    load_weights(small, arrays, resize=False)
    path = save_weights(small, tmp_path / "w.safetensors", layout=layout)
    report = load_weights(large, path)
    assert report.resized
    assert load_weights(again, path).resized == ()
    resized = {note.partition(" ")[0] for note in report.resized}
    bindings = layout_named(layout, architecture).bind(large)
    for name, array in (
        (name, array) for binding in bindings for name, array in zip(binding.names, binding.to_arrays(), strict=True)
    ):
        assert (name in resized) or array.tobytes() == arrays[name].tobytes(), name
        assert (name in resized) <= (array.shape != arrays[name].shape or architecture == "vip"), name


def test_eamlp_counts_its_tokens_anew(tmp_path):
    small, large = (mt.classifier(eamlp((side, side, 3)), 4) for side in (32, 48))
    path = save_weights(small, tmp_path / "w.npz", layout="authors")
    assert load_weights(large, path).resized == ("pos_embed 2x2 -> 3x3",)


def test_vip_published_for_224_pixels_is_resized_although_its_shapes_fit(tmp_path):
    """A line of the 448 px picture has twice the segments, each with half the channels: the matrix keeps its shape."""
    sizes = {"patch_size": 28, "stage_depths": (1,), "stage_widths": (16,), "mlp_ratios": (2,)}
    published = mt.create_backbone("vip", (224, 224, 3), segments=(8,), **sizes)
    larger = mt.create_backbone("vip", (448, 448, 3), segments=(16,), **sizes)
    path = save_weights(published, tmp_path / "w.npz", layout="authors")
    assert load_weights(published, path).resized == ()
    assert len(load_weights(larger, path).resized) == 2
    with pytest.raises(ValueError, match=r"16x16 patches need a \.safetensors file"):
        save_weights(larger, tmp_path / "x.npz", layout="authors")


def test_raft_mlp_says_how_it_must_be_built_for_another_image_size():
    arrays = random_arrays(raft_mlp((32, 32, 3)), "raft_mlp", "authors")
    for sizes in ({}, {"pretrained_image_size": 24}, {"pretrained_image_size": 96}):
        with pytest.raises(ValueError, match="were square, build it with pretrained_image_size=32; weights of"):
            load_weights(raft_mlp((64, 64, 3), **sizes), arrays)
    load_weights(raft_mlp((64, 40, 3), pretrained_image_size=32), arrays)


def test_rafts_of_a_picture_that_is_not_square_fit_only_their_own_size():
    arrays = random_arrays(raft_mlp((32, 40, 3)), "raft_mlp", "authors")
    load_weights(raft_mlp((32, 40, 3)), arrays)
    with pytest.raises(ValueError, match=r"levels\.0\.fn\.2\.3\.fn.* fit only a model that is built for its size"):
        load_weights(raft_mlp((64, 64, 3), pretrained_image_size=32), arrays)


def test_resizing_can_be_refused():
    arrays = random_arrays(mlp_mixer((24, 24, 3)), "mlp_mixer", "timm")
    with pytest.raises(mt.weights.WeightsMismatch, match="of another shape"):
        load_weights(mlp_mixer((16, 40, 3)), arrays, resize=False)


def test_what_does_not_depend_on_the_image_goes_into_any_file(tmp_path):
    first, second = resnet((32, 128, 3)), resnet((16, 24, 3))
    assert load_weights(second, save_weights(first, tmp_path / "w.npz", layout="timm")).resized == ()
