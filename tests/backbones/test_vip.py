"""ViP's own idea, and what its builder refuses."""

import numpy as np
import pytest

from tests.backbones.tiny import tiny_backbone, tiny_images


def test_transposed_picture_with_rows_and_columns_exchanged_gives_the_transposed_output():
    """Height and width are treated alike, each with weights of its own."""
    backbone, pictures = tiny_backbone("vip"), tiny_images("vip")
    before = backbone(pictures).numpy()
    for i, j in ((1, 1), (2, 1), (2, 2)):
        block = f"stage{i}_block{j}"
        rows, columns = (backbone.get_layer(f"{block}_{direction}").kernel for direction in ("rows", "columns"))
        kernels = rows.numpy(), columns.numpy()
        rows.assign(kernels[1])
        columns.assign(kernels[0])
        for weight in backbone.get_layer(f"{block}_fusion_fc2").weights:
            branches = weight.numpy().reshape(*weight.shape[:-1], -1, 3)
            weight.assign(branches[..., [1, 0, 2]].reshape(weight.shape))
    assert np.abs(backbone(pictures) - before).max() > 1e-3
    for name in ("stem_patch_embedding", "stage2_downsample"):
        kernel = backbone.get_layer(name).kernel
        kernel.assign(kernel.numpy().transpose(1, 0, 2, 3))
    after = backbone(pictures.transpose(0, 2, 1, 3)).numpy()
    np.testing.assert_allclose(after.transpose(0, 2, 1, 3), before, atol=1e-5)


def test_stages_of_one_size_are_one_level_and_a_new_width_needs_no_smaller_map():
    stages = {"stage_depths": (1, 1, 1), "stage_widths": (12, 8, 8), "segments": (4, 4, 2), "mlp_ratios": (2, 2, 2)}
    backbone = tiny_backbone("vip", **stages)
    layers = {layer.name: layer for layer in backbone.layers}
    assert [name for name in layers if name[0] == "P"] == ["P3", "P4"]
    assert layers["P3"].output.shape == (None, 4, 4, 8)
    assert [tuple(layers[f"stage{i}_downsample"].kernel.shape) for i in (2, 3)] == [(12, 8), (2, 2, 8, 8)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"image_shape": (32, 40, 3)},
            r"image_shape \(32, 40, 3\) must be square with sides of patch_size 8 \* segments\[0\] 4: \(32, 32, 3\)",
        ),
        ({"image_shape": (16, 16, 3)}, r"nearest with other segments: \(16, 16\) with segments=\(2, 1\)"),
        ({"segments": (4, 3)}, r"segments must stay or halve from stage to stage; given: \(4, 3\)"),
        ({"stage_widths": (12, 11)}, r"segments must divide the stage_widths; given: segments \(4, 2\), .*\(12, 11\)"),
        ({"segments": (4,)}, "segments must have one value per stage; given: 1 values, 2 stages"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("vip", **arguments)
