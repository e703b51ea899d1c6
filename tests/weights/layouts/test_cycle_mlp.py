"""CycleMLP's checkpoints hold what follows from the architecture too."""

from pathlib import Path

import numpy as np

from mixer_tf.weights.layouts import layout_named
from tests.weights.small_models import cycle_mlp

GOLDEN = Path(__file__).parents[2] / "golden" / "cyclemlp.npz"


def test_offsets_are_those_of_the_reference():
    model = cycle_mlp(stage_depths=(1, 1, 2, 1), stage_widths=(16, 24, 32, 48), mlp_ratios=(4, 4, 4, 4))
    derived = layout_named("authors", "cycle_mlp").derived_arrays(model)
    with np.load(GOLDEN) as file:
        offsets = {name.removeprefix("weights/"): file[name] for name in file.files if name.endswith("offset")}
    assert derived.keys() == offsets.keys()
    assert len(offsets) == 2 * 5
    for name, offset in offsets.items():
        np.testing.assert_array_equal(derived[name], offset, name)
        assert derived[name].dtype == offset.dtype
