"""CycleMLP's own idea, and what its builder refuses."""

import numpy as np
import pytest

from mixer_tf.layers.cycle import CycleFC
from tests.backbones.tiny import tiny_backbone


def test_a_cycle_fc_costs_a_dense_layer_and_sees_its_kernel():
    """A changed pixel changes the pixels that its channels are read from, and no others."""
    image = np.random.default_rng(0).normal(size=(1, 7, 9, 6)).astype("float32")
    changed = image.copy()
    changed[0, 3, 4] += 1
    for kernel_size, seen in (((1, 3), (1, 3)), ((3, 1), (3, 1)), ((1, 5), (1, 5)), ((1, 1), (1, 1))):
        layer = CycleFC(6, kernel_size)
        rows, columns = np.nonzero(np.abs(layer(changed) - layer(image)).max(axis=(0, 3)) > 1e-6)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == seen, kernel_size
        assert layer.count_params() == 6 * 6 + 6


def test_weights_fit_any_image_size():
    """What the Mixer cannot: the same weights read larger pictures, of any shape."""
    small, large = tiny_backbone("cycle_mlp"), tiny_backbone("cycle_mlp", image_shape=(49, 35, 3))
    large.set_weights(small.get_weights())
    assert large(np.ones((1, 49, 35, 3), "float32")).shape == (1, 6, 5, 14)


def test_the_branches_look_in_the_directions_of_their_kernels():
    backbone = tiny_backbone("cycle_mlp", cycle_kernels=((5, 1), (1, 7)))
    sizes = [backbone.get_layer(f"stage2_block1_cycle{n}").kernel_size for n in (1, 2)]
    assert sizes == [(5, 1), (1, 7)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cycle_kernels": ((3, 3), (3, 1))}, r"cycle_kernels must be .* with a 1 in each pair; given: \(\(3, 3\)"),
        ({"cycle_kernels": (3, 3)}, r"cycle_kernels must be \(\(int, int\), \(int, int\)\); given: \(3, 3\)"),
        ({"stage_widths": (8,)}, "stage_widths must have one value per stage; given: 1 values, 2 stages"),
        ({"mlp_ratios": (2, 2, 2)}, "mlp_ratios must have one value per stage; given: 3 values, 2 stages"),
        ({"patch_size": 2}, "patch_size must be at least patch_stride; given: 2 and 4"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_backbone("cycle_mlp", **arguments)


def test_drop_path_rises_over_all_stages():
    backbone = tiny_backbone("cycle_mlp", drop_path_rate=0.3, stage_depths=(2, 2))
    names = [f"stage{i}_block{j}_mlp_drop_path" for i, j in ((1, 2), (2, 1), (2, 2))]
    np.testing.assert_allclose([backbone.get_layer(name).rate for name in names], [0.1, 0.2, 0.3])
    assert "stage1_block1_mlp_drop_path" not in [layer.name for layer in backbone.layers]
