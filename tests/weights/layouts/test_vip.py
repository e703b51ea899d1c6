"""ViP's authors count stages and transitions alike, and not every stage has a transition."""

import pytest

from mixer_tf.weights.layouts import layout_named
from tests.weights.small_models import vip


@pytest.mark.parametrize(
    ("segments", "widths", "stages", "transitions"),
    [
        ((4, 4, 4), (12, 12, 12), [0, 1, 2], []),
        ((4, 2, 2), (12, 12, 12), [0, 2, 3], [1]),
        ((4, 4, 2), (12, 12, 12), [0, 1, 3], [2]),
        ((4, 2, 1), (12, 12, 12), [0, 2, 4], [1, 3]),
        ((4, 4, 4), (12, 8, 8), [0, 2, 3], [1]),
    ],
)
def test_numbers_of_the_modules(segments, widths, stages, transitions):
    model = vip(segments=segments, stage_widths=widths)
    names = {name for binding in layout_named("authors", "vip").bind(model) for name in binding.names}
    modules = {tuple(name.split(".")[1:3]) for name in names if name.startswith("network.")}
    depths = (1, 2, 1)
    expected = {(str(n), str(j)) for n, depth in zip(stages, depths, strict=True) for j in range(depth)}
    assert modules == expected | {(str(n), "proj") for n in transitions}
