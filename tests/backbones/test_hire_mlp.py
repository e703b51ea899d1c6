"""Hire-MLP's own idea, and what its builder refuses."""

import importlib

import keras
import numpy as np
import pytest

from mixer_tf.layers.regions import to_regions
from mixer_tf.layers.shifts import COLUMNS, ROWS
from tests.backbones.tiny import tiny_backbone

hire = importlib.import_module("mixer_tf.backbones.hire_mlp")  # the name of the module is also its builder's


@pytest.mark.parametrize("axis", [ROWS, COLUMNS])
@pytest.mark.parametrize(("step", "region"), [(0, [3, 4, 5]), (1, [2, 3, 4]), (2, [4, 5, 6])])
def test_a_pixel_changes_its_region_which_rolling_moves(step, region, axis):
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 6)).astype("float32")
    changed = image.copy()
    changed[0, 4, 4] += 1
    inputs = keras.Input((9, 9, 6))
    model = keras.Model(inputs, hire.region_mlp(inputs, 3, step, axis, {}, name="branch"))
    for name in ("branch_fc1", "branch_fc2"):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))
    rows, columns = np.nonzero(np.abs(model(changed) - model(image)).max(axis=(0, 3)) > 1e-6)
    mixed, alone = (rows, columns) if axis == ROWS else (columns, rows)
    assert set(mixed) == set(region)
    assert set(alone) == {4}


def test_blocks_of_a_period_roll_further_and_further_and_every_period_begins_unrolled(monkeypatch):
    steps = []

    def recorded(x, size, step, axis):
        steps.append(step)
        return to_regions(x, size, step, axis)

    monkeypatch.setattr(hire, "to_regions", recorded)
    tiny_backbone("hire_mlp", stage_depths=(4, 2), step_periods=(3, 1), step_sizes=(2, 5))
    assert steps[::2] == steps[1::2] == [0, 2, 4, 0, 0, 0]  # rows and columns alike


def test_weights_fit_any_image_size():
    small, large = tiny_backbone("hire_mlp"), tiny_backbone("hire_mlp", image_shape=(49, 35, 3))
    large.set_weights(small.get_weights())
    assert large(np.ones((1, 49, 35, 3), "float32")).shape == (1, 6, 5, 14)


@pytest.mark.parametrize("argument", ["stage_widths", "mlp_ratios", "region_sizes", "step_periods", "step_sizes"])
def test_every_tuple_has_one_value_per_stage(argument):
    with pytest.raises(ValueError, match=f"{argument} must have one value per stage; given: 3 values, 2 stages"):
        tiny_backbone("hire_mlp", **{argument: (8, 8, 8)})


def test_a_region_of_no_pixels_is_refused():
    with pytest.raises(ValueError, match=r"region_sizes must be at least 1; given: \(0, 3\)"):
        tiny_backbone("hire_mlp", region_sizes=(0, 3))
