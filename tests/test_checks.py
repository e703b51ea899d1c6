"""Type checks of what users give."""

import typing

import pytest

from mixer_tf.checks import require_type


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, int),
        (3, float),
        (0.5, float | None),
        (None, float | None),
        (None, typing.Optional[float]),  # noqa: UP045  what Python 3.10 makes of the above where the default is None
        (True, bool),
        ("a", str),
        ((1, 2), int | tuple[int, int]),
        ((1, 2, 3), tuple[int, ...]),
        ((0.1, 1), tuple[float, float]),
        ({"a": 1}, dict[str, int]),
    ],
)
def test_right_type_passes(value, annotation):
    require_type("size", value, annotation)


@pytest.mark.parametrize(
    ("value", "annotation", "wanted"),
    [
        (True, int, "int"),
        (1, bool, "bool"),
        (2.0, int, "int"),
        ("3", int | None, "int or None"),
        ("", str, "str"),
        (float("nan"), float, "float"),
        (float("inf"), float, "float"),
        ((1, "b"), int | tuple[int, int], r"int or \(int, int\)"),
        ((1, 2, 3), tuple[int, int], r"\(int, int\)"),
        ((), tuple[int, ...], r"\(int, \.\.\.\)"),
        (3, tuple[int, ...], r"\(int, \.\.\.\)"),
        ([1], dict[str, int], "dict"),
    ],
)
def test_wrong_type_is_named(value, annotation, wanted):
    with pytest.raises(ValueError, match=f"size must be {wanted}; given: "):
        require_type("size", value, annotation)
