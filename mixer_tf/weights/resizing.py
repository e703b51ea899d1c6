"""Weights that belong to one image size, resized to another while they are loaded.

Position tables, the kernels and biases of token mixing, of Dense layers along one axis, and filters over a spectrum all
have axes that run over patches. A layout says by which rule each of them is resized (`Layout.resized`). A rule sees an
array in our own axes and gives the resized one with both grids, or None when there is nothing to do, also where the
array cannot be understood: then the check of shapes refuses it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Container, Mapping

import keras
import numpy as np

from mixer_tf.layers.resize import antialiased_bicubic_matrix, bicubic_matrix, resize_grid
from mixer_tf.layers.tokens import PositionEmbedding
from mixer_tf.weights.files import Checkpoint
from mixer_tf.weights.layout import Binding, Layout, all_layers, owners
from mixer_tf.weights.preprocessing import image_size

_KEY = "position_grid"

Grid = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Grids:
    """Rows and columns of patches.

    Attributes:
        model: those of the model's finest features; None for a model without any.
        stored: those of the file's weights; None where the file does not say.
        image: height and width of the model's pictures in pixels; None for a model without any.
        stages: those of each stage of a hierarchical model, by the start of its layers' names: `"stage1"`.
    """

    model: Grid | None
    stored: Grid | None
    image: Grid | None = None
    stages: Mapping[str, Grid] = dataclasses.field(default_factory=dict)

    def stored_with(self, patches: int) -> Grid | None:
        """The file's grid if it has so many patches; taken as square, as in all published files, if it does not say."""
        side = math.isqrt(patches)
        grid = self.stored or (side, side)
        return grid if math.prod(grid) == patches else None


Resized = tuple[np.ndarray, Grid, Grid]
Rule = Callable[[np.ndarray, Binding, Grids], Resized | None]


def grid_metadata(model: keras.Model) -> dict[str, str]:
    """What a file with this model's weights must say about their grid: `{"position_grid": "14x20"}`."""
    grid = _stored_grid(model)
    return {_KEY: "{}x{}".format(*grid)} if grid else {}


def grids_of(model: keras.Model, checkpoint: Checkpoint, layout: Layout) -> Grids:
    """The model's grid, and the file's: as its metadata tells it, or as files of this layout are published."""
    grid, image = _stored_grid(model), image_size(model)
    rows, _, columns = checkpoint.metadata.get(_KEY, "").partition("x")
    stored = (int(rows), int(columns)) if rows.isdigit() and columns.isdigit() else None
    if stored is None and layout.published_side and grid and image:
        stored = 2 * (layout.published_side * grid[0] // image[0],)
        if checkpoint.path is None and stored != grid:
            raise ValueError(
                f"weights of this architecture must say their image size; given: a mapping, and a model for "
                f"{image[0]} pixels instead of {layout.published_side}: save them as .safetensors, or pass "
                "resize=False if they are for this size"
            )
    first = ("_block1_norm1", "_block1_vertical_norm")
    first_norms = [layer for layer in all_layers(model) if layer.name.endswith(first)]
    stages = {layer.name.partition("_")[0]: (*layer.output.shape[1:3],) for layer in first_norms}
    return Grids(grid, stored, image, stages)


def _stored_grid(model: keras.Model) -> Grid | None:
    """Rows and columns of a position table where there is one, of the finest features where there is none."""
    for layer in owners(model):
        if isinstance(layer, PositionEmbedding):
            rows, columns = layer.stored_grid
            return rows, columns
    found = {layer.name: layer for layer in all_layers(model)}
    levels = [name for name in found if name[0] == "P" and name[1:].isdigit()]
    # A classifier that takes its class token alone has no level; the patches of its stem are the grid.
    for name in (*levels, "stem_patch_embedding", "stem_projection"):
        if name in found and len(found[name].output.shape) == 4:
            rows, columns = found[name].output.shape[1:3]
            return rows, columns
    return None


def resized(
    layout: Layout, bindings: list[Binding], arrays: Mapping[str, np.ndarray], grids: Grids
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays with every one that belongs to another image size resized to the model's, and notes of those."""
    fitted, notes = dict(arrays), []
    for binding in bindings:
        name, rule = binding.names[0], _rule_for(layout, binding)
        if rule is None or name not in arrays or (given := binding.in_our_axes(arrays[name])) is None:
            continue
        if (result := rule(given, binding, grids)) and result[0].shape == tuple(binding.variable.shape):
            fitted[name] = binding.to_arrays(result[0])[0]
            notes.append("{} {}x{} -> {}x{}".format(name, *result[1], *result[2]))
    return fitted, tuple(notes)


def has_rule(layout: Layout, bindings: list[Binding], arrays: Container[str]) -> bool:
    """Whether any of these arrays belongs to one image size."""
    return any(_rule_for(layout, binding) for binding in bindings if binding.names[0] in arrays)


def has_rules(layout: Layout, model: keras.Model) -> bool:
    """Whether any weight of the model belongs to one image size."""
    bindings = layout.bind(model)
    return has_rule(layout, bindings, {binding.names[0] for binding in bindings})


def _rule_for(layout: Layout, binding: Binding) -> Rule | None:
    rule = layout.resize_rule(binding.layer, binding.variable)
    return positions() if rule is None and isinstance(binding.layer, PositionEmbedding) else rule


def positions(matrix=antialiased_bicubic_matrix) -> Rule:
    """The rule of a position table `[1, n + h * w, c]`, `n` class tokens first, which stay as they are.

    Args:
        matrix: how an axis is interpolated; the default is timm's antialiased bicubic.
    """

    def rule(table: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
        layer = binding.layer
        prefix, new = layer.num_prefix_tokens, layer.stored_grid
        if len(table) != 1 or table.shape[1] <= prefix or table.shape[2] != binding.variable.shape[2]:
            return None
        old = grids.stored_with(table.shape[1] - prefix)
        if old is None or old == new:
            return None
        return _along(table, 1, old, new, prefix=prefix, matrix=matrix), old, new

    return rule


def tokens(*, inputs: tuple[int, ...] = (), outputs: tuple[int, ...] = (), prefix: int = 0) -> Rule:
    """The rule of weights with axes over all tokens of a grid.

    Along an input axis the products are summed: with four times the tokens each weighs a quarter.

    Args:
        inputs: axes of the array that run over the tokens that come in.
        outputs: axes that run over the tokens that go out.
        prefix: number of class tokens at the start of such an axis, which stay as they are.
    """

    def rule(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
        old, new = grids.stored_with(array.shape[(*inputs, *outputs)[0]] - prefix), grids.model
        if old is None or new is None or old == new:
            return None
        return _resized(array, inputs, outputs, old, new, prefix), old, new

    return rule


def axis(*, inputs: tuple[int, ...] = (), outputs: tuple[int, ...] = ()) -> Rule:
    """The rule of weights with axes over the rows, or over the columns, of a grid."""

    def rule(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
        number = (*inputs, *outputs)[0]
        old, new = (array.shape[number], 1), (binding.variable.shape[number], 1)
        return None if old == new else (_resized(array, inputs, outputs, old, new, prefix=0), old, new)

    return rule


def spectrum(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of GFNet's filters `[h, w // 2 + 1, c, 2]`: bicubic with aligned corners, as its authors load them."""
    (*old, channels, parts), (*new, _, _) = array.shape, binding.variable.shape
    if old == new:
        return None
    filters = _along(array.reshape(-1, channels, parts), 0, tuple(old), tuple(new), matrix=_aligned)
    return filters.reshape(*new, channels, parts), tuple(old), tuple(new)


def segments(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of ViP's kernels `[c, c]` and biases `[c]` over (place, channel within a segment).

    A line has as many segments as places, so that with the image size both change, and their product stays. The shape
    therefore does not tell the size: the grids must.
    """
    if grids.stored is None or grids.model is None or grids.stored == grids.model:
        return None
    channels, new = array.shape[0], grids.stages[binding.layer.name.partition("_")[0]][0]
    old = new * grids.stored[0] // grids.model[0]
    if old == new or channels % old:
        return None
    grid_old, grid_new = (old, channels // old), (new, channels // new)
    inputs = (0,) if array.ndim == 2 else ()
    return _resized(array, inputs, (array.ndim - 1,), grid_old, grid_new, prefix=0), (old, old), (new, new)


def tiles(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of RepMLPNet's kernels `[set, out, in]` over the pixels of a square tile."""
    kernel = array.reshape(binding.layer.num_sets, -1, array.shape[1])
    side = math.isqrt(kernel.shape[2])
    old, new = (side, side), binding.layer.tile
    if kernel.shape[1:] != (side**2, side**2) or old == new:
        return None
    return _resized(kernel, (2,), (1,), old, new, prefix=0), old, new


def pretrained_size_needed(array: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of RaftMLP's token mixing, which no resizing fits: its hidden units belong to the grid too.

    Raises:
        ValueError: when the weights are of another image size; it says how the model must be built.
    """
    old, new = array.shape[0], binding.variable.shape[0]
    trained = grids.stages.get(binding.layer.name.partition("_")[0])  # the grid that the model's weights are for
    if old == new or not (grids.image and grids.model and trained):
        return None
    advice = "weights of a picture that is not square fit only a model that is built for its size"
    if "vertical" in binding.layer.name:
        side = old * trained[0] // new * round(grids.image[0] / grids.model[0])
        advice = f"where their pictures were square, build it with pretrained_image_size={side}; {advice}"
    raise ValueError(f"{binding.names[0]} must be for the model's image size; given: for another one; {advice}")


def _aligned(size_in: int, size_out: int) -> np.ndarray:
    return bicubic_matrix(size_in, size_out, align_corners=True)


def _resized(array, inputs, outputs, old: Grid, new: Grid, prefix: int) -> np.ndarray:
    for number in (*inputs, *outputs):
        array = _along(array, number, old, new, prefix=prefix)
    for number in inputs:
        scale = np.ones(array.shape[number])
        scale[prefix:] = math.prod(old) / math.prod(new)
        array = array * scale.reshape([-1 if k == number else 1 for k in range(array.ndim)]).astype(array.dtype)
    return array


def _along(array, number: int, old: Grid, new: Grid, *, prefix: int = 0, matrix=antialiased_bicubic_matrix):
    """Resize the axis of that number, which runs over a grid after `prefix` other entries."""
    moved = np.moveaxis(array, number, 0)
    rest = moved.shape[1:]
    patches = resize_grid(moved[prefix:].reshape(*old, -1), new, matrix).reshape(-1, *rest)
    return np.moveaxis(np.concatenate([moved[:prefix], patches]), 0, number)
