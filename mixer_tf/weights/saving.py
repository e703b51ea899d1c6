"""A model's weights into a file that the reference implementations read."""

from __future__ import annotations

import math
import os
from pathlib import Path

import keras

from mixer_tf.checks import require_type
from mixer_tf.weights.files import Checkpoint, write_arrays
from mixer_tf.weights.layout import TORCH, owners
from mixer_tf.weights.layouts import OWN, architecture_of, layout_named
from mixer_tf.weights.preprocessing import preprocessing_metadata
from mixer_tf.weights.resizing import Grids, grid_metadata, grids_of, has_rules


def save_weights(model: keras.Model, path: str | os.PathLike[str], *, layout: str) -> Path:
    """Save a model's weights under the reference's own names and in its own axes.

    What `load_weights` read comes back byte for byte. A `.safetensors` file also holds `model.preprocessing`. The file
    appears whole or not at all.

    Args:
        model: a backbone, or a model that continues one.
        path: a `.safetensors` or `.npz` file; folders are made, an old file is replaced.
        layout: whose names: `"timm"`, `"google"`, `"huggingface"` (BERT, GPT-2, DINOv2), as far as the architecture
            has them, or `"mixer_tf"` for the package's own, which every model has.

    Returns:
        The path.

    Raises:
        ImportError: when the path is `.safetensors` and safetensors is not installed.
        ValueError: when the extension or the layout is unknown, the layout has no name for a layer of the model, or
            the file could not tell a position table's grid.

    Example:
        >>> save_weights(model, "digits.safetensors", layout="timm")
        PosixPath('digits.safetensors')
    """
    require_type("model", model, keras.Model)
    path, architecture = Path(path), architecture_of(model)
    chosen = layout_named(layout, architecture)
    if nameless := [layer.name for layer in owners(model) if layout != OWN.name and not chosen.covers(layer)]:
        raise ValueError(
            f"layout {layout} must name every layer of {model.name}, but has no name for {', '.join(nameless)}; "
            "save in layout mixer_tf"
        )
    metadata = {**grid_metadata(model), **preprocessing_metadata(model), "layout": layout}
    if path.suffix == ".npz" and has_rules(chosen, model):
        _check_grid(grids_of(model, Checkpoint({}, path=path), chosen))
    if chosen.convention is TORCH:
        metadata["format"] = "pt"  # transformers refuses files without it
    arrays = chosen.derived_arrays(model)
    for binding in chosen.bind(model):
        arrays.update(zip(binding.names, binding.to_arrays(), strict=True))
    write_arrays(path, arrays, metadata)
    return path


def _check_grid(grids: Grids) -> None:
    """Refuse a file that cannot tell its grid where it would come back as another one: 2 x 8 patches as 4 x 4."""
    grid = grids.model
    if grid and (grids.stored or grids.stored_with(math.prod(grid)) or grid) != grid:
        raise ValueError(f"weights for {grid[0]}x{grid[1]} patches need a .safetensors file; given: .npz")
