"""Checks of what users give, that end in one sentence: what must hold; what was given."""

import math
import types
import typing
from pathlib import Path


def require(condition: object, message: str) -> None:
    """Raise `ValueError(message)` unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_type(name: str, value: object, annotation) -> None:
    """Refuse a value that does not have the annotated type.

    A float may be given as an int, but must be finite; a string must not be empty; True is no number.

    Args:
        name: what the value is called, for the message.
        value: the value.
        annotation: `int`, `float`, `bool`, `str`, `None`, a dict, a tuple of these, or a union of them.

    Raises:
        ValueError: when the value is of another type.

    Example:
        >>> require_type("area", (0.1, 1), tuple[float, float] | None)
        >>> require_type("area", (0.1,), tuple[float, float] | None)
        Traceback (most recent call last):
        ValueError: area must be (float, float) or None; given: (0.1,)
    """
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)  # Python 3.10 gives either
    alternatives = typing.get_args(annotation) if is_union else (annotation,)
    if not any(_is(value, kind) for kind in alternatives):
        wanted = " or ".join(map(_name, alternatives))
        raise ValueError(f"{name} must be {wanted}; given: {value!r}")


def _is(value, kind) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is str:
        return isinstance(value, str) and value != ""
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        if members[-1] is Ellipsis and isinstance(value, tuple):
            return bool(value) and all(_is(member, members[0]) for member in value)
        return isinstance(value, tuple) and len(value) == len(members) and all(map(_is, value, members))
    return isinstance(value, typing.get_origin(kind) or kind)


def _name(kind) -> str:
    if kind is types.NoneType:
        return "None"
    if typing.get_origin(kind) is tuple:
        return "(" + ", ".join("..." if member is Ellipsis else _name(member) for member in typing.get_args(kind)) + ")"
    return (typing.get_origin(kind) or kind).__name__


def require_rate(name: str, rate: float) -> None:
    """Refuse a rate of selection that is no probability above 0; 1 selects everything.

    Example:
        >>> require_rate("mask_rate", 0)
        Traceback (most recent call last):
        ValueError: mask_rate must be greater than 0 and at most 1; given: 0; take 0.15, say
    """
    require(0 < rate <= 1, f"{name} must be greater than 0 and at most 1; given: {rate}; take 0.15, say")


def require_folder(name: str, folder: Path) -> None:
    """Make a folder unless it is there, and refuse a path where none can be.

    Args:
        name: what the path is called, for the message.
        folder: the path; the folders above it are made too.

    Raises:
        ValueError: when there is a file, or the system does not allow it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{name} must be a folder that can be made; given: {folder}: {error.strerror}") from error


def require_per_stage(num_stages: int, **values: tuple) -> None:
    """Refuse tuples that do not have one value for each stage.

    Example:
        >>> require_per_stage(2, stage_widths=(8, 16, 32))
        Traceback (most recent call last):
        ValueError: stage_widths must have one value per stage; given: 3 values, 2 stages
    """
    for name, value in values.items():
        require(
            len(value) == num_stages,
            f"{name} must have one value per stage; given: {len(value)} values, {num_stages} stages",
        )
