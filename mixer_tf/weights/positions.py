"""Position tables of checkpoints, resized to the grid of another image size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras
import numpy as np

from mixer_tf.layers.resize import resize_grid
from mixer_tf.layers.tokens import PositionEmbedding
from mixer_tf.weights.layout import owners

_KEY = "position_grid"


def grid_metadata(model: keras.Model) -> dict[str, str]:
    """What a file that holds this model's position table must say about it: `{"position_grid": "14x20"}`."""
    tables = [layer for layer in owners(model) if isinstance(layer, PositionEmbedding)]
    return {_KEY: "{}x{}".format(*tables[0].stored_grid)} if tables else {}


def grid_of(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """Rows and columns of the position table, as the file's metadata tells them; None where it does not."""
    rows, _, columns = metadata.get(_KEY, "").partition("x")
    return (int(rows), int(columns)) if rows.isdigit() and columns.isdigit() else None


def fit_positions(layer: PositionEmbedding, table: np.ndarray, grid: tuple[int, int] | None) -> tuple[np.ndarray, str]:
    """Resize a position table to the layer's grid by timm's antialiased bicubic rule.

    The rows of class tokens stay untouched. A table that fits, and one that cannot be understood, come back as given.

    Args:
        layer: the layer that the table is for.
        table: `[1, n + h * w, c]` with `n` class tokens first.
        grid: (h, w) of the table; None takes it as square if its number of patches is, as in all published files.

    Returns:
        The table, and a note of what was done to it, empty for nothing.
    """
    channels, prefix = layer.table.shape[2], layer.num_prefix_tokens
    if table.ndim != 3 or table.shape[0] != 1 or table.shape[1] <= prefix or table.shape[2] != channels:
        return table, ""
    patches = table.shape[1] - prefix
    rows, columns = grid or (math.isqrt(patches), math.isqrt(patches))
    if (rows, columns) == layer.stored_grid or rows * columns != patches:
        return table, ""
    new_rows, new_columns = layer.stored_grid
    resized = resize_grid(table[0, prefix:].reshape(rows, columns, channels), (new_rows, new_columns))
    table = np.concatenate([table[:, :prefix], resized.reshape(1, -1, channels)], axis=1)
    return table, f"{rows}x{columns} -> {new_rows}x{new_columns}"
