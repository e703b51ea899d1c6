"""How a reference names and lays out its arrays: the mechanism behind the tables in `weights/layouts/`.

A `Layout` pairs our layer names with the reference's module names. What happens to the arrays themselves follows from
the class of the Keras layer and from the convention of the reference's framework (`TORCH`, `FLAX`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
from keras import layers


@dataclasses.dataclass(frozen=True)
class Convention:
    """How a framework names the arrays of a module, and the order of their axes.

    Attributes:
        separator: what joins the names of a module and of its array.
        arrays: Keras layer class -> {Keras variable: (array, axes)}; the array is the variable transposed by `axes`.
        counters: Keras layer class -> an array without a Keras counterpart: skipped on load, saved as int64 0.
    """

    separator: str
    arrays: Mapping[type[layers.Layer], Mapping[str, tuple[str, tuple[int, ...] | None]]]
    counters: Mapping[type[layers.Layer], str] = dataclasses.field(default_factory=dict)

    def of(self, layer: layers.Layer) -> Mapping[str, tuple[str, tuple[int, ...] | None]]:
        """The row of `arrays` for a layer; empty for a class that the convention does not know."""
        return next((row for layer_class, row in self.arrays.items() if isinstance(layer, layer_class)), {})


TORCH = Convention(
    separator=".",
    arrays={
        layers.Dense: {"kernel": ("weight", (1, 0)), "bias": ("bias", None)},
        layers.DepthwiseConv2D: {"kernel": ("weight", (2, 3, 0, 1)), "bias": ("bias", None)},
        layers.Conv2D: {"kernel": ("weight", (3, 2, 0, 1)), "bias": ("bias", None)},
        layers.Embedding: {"embeddings": ("weight", None)},
        layers.LayerNormalization: {"gamma": ("weight", None), "beta": ("bias", None)},
        layers.GroupNormalization: {"gamma": ("weight", None), "beta": ("bias", None)},
        layers.BatchNormalization: {
            "gamma": ("weight", None),
            "beta": ("bias", None),
            "moving_mean": ("running_mean", None),
            "moving_variance": ("running_var", None),
        },
    },
    counters={layers.BatchNormalization: "num_batches_tracked"},
)

FLAX = Convention(
    separator="/",
    arrays={
        layers.Dense: {"kernel": ("kernel", None), "bias": ("bias", None)},
        layers.Conv2D: {"kernel": ("kernel", None), "bias": ("bias", None)},
        layers.LayerNormalization: {"gamma": ("scale", None), "beta": ("bias", None)},
    },
)


@dataclasses.dataclass(frozen=True)
class Parts:
    """Where the variables of a layer lie in the reference, when one module's name does not say it all.

    Attributes:
        modules: the reference's modules; each variable is cut along its last axis into one equal part for each.
        shape: (shape of a part, number of attention heads) -> the shape in which the reference stores it.
        axes: transposes a part, for a key `"layer/variable"`; a key that names a layer has its convention's axes.
        rows: (layer, variable) -> for every row (first axis) of the reference, which row of ours it is; None for the
            same order.
    """

    modules: tuple[str, ...]
    shape: Callable[[tuple[int, ...], int], tuple[int, ...]] = lambda shape, heads: shape
    axes: tuple[int, ...] | None = None
    rows: Callable[[layers.Layer, keras.Variable], np.ndarray | None] = lambda layer, variable: None


def conv1x1(module: str) -> Parts:
    """A Dense layer of ours that the reference has as a 1x1 convolution."""
    return Parts((module,), shape=lambda shape, heads: (*shape, 1, 1) if len(shape) == 2 else shape)


@dataclasses.dataclass(frozen=True)
class Binding:
    """One variable of a model and the arrays that hold it in the reference.

    Attributes:
        layer: the layer that owns the variable.
        variable: the variable.
        names: names of the arrays; more than one share the variable's last axis.
        axes: transposes a part of the variable for the reference; None leaves it as it is.
        shape: shape of each array in the reference.
        rows: the reference's rows (first axis of the variable) by their place in ours; None for the same order.
    """

    layer: layers.Layer
    variable: keras.Variable
    names: tuple[str, ...]
    axes: tuple[int, ...] | None
    shape: tuple[int, ...]
    rows: np.ndarray | None = None

    def to_variable(self, arrays: list[np.ndarray]) -> np.ndarray:
        """The variable's value, from the reference's arrays."""
        part_shape = _transposed(_part_shape(self.variable, len(self.names)), self.axes)
        parts = [array.reshape(part_shape) for array in arrays]
        parts = [part.transpose(np.argsort(self.axes)) for part in parts] if self.axes else parts
        value = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        return value if self.rows is None else value[np.argsort(self.rows)]

    def in_our_axes(self, array: np.ndarray) -> np.ndarray | None:
        """A single array as our variable would have it, whatever its sizes; None where it has other axes."""
        rank = len(self.variable.shape)
        if len(self.names) > 1 or self.rows is not None or math.prod(array.shape[rank:]) != 1 or array.ndim < rank:
            return None
        array = array.reshape(array.shape[:rank])
        return array.transpose(np.argsort(self.axes)) if self.axes else array

    def to_arrays(self, value: np.ndarray | None = None) -> list[np.ndarray]:
        """The reference's arrays, from a value of the variable; None takes the one that it has."""
        value = keras.ops.convert_to_numpy(self.variable) if value is None else value
        value = value if self.rows is None else value[self.rows]
        parts = np.split(value, len(self.names), axis=-1) if len(self.names) > 1 else [value]
        return [(part.transpose(self.axes) if self.axes else part).reshape(self.shape) for part in parts]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The names of one published form of an architecture's checkpoints.

    Attributes:
        name: who publishes in this form: `"timm"`, `"google"`, ...
        convention: `TORCH` or `FLAX`.
        modules: our names -> the reference's. A key names a layer and its value a module; or a key `"layer/variable"`
            names one variable and its value one array. `{i}` stands for a number; in a value, `{i-1}` is that number
            less one and `{2i-2}` twice it less two; `{b}` is the block's number, counted from 0 through all stages.
        preprocessing: (file name, image size, names of the model's layers) -> arguments of `Preprocessing`, for files
            that bring none.
        respelled: pattern -> replacement (as in `re.sub`), for files that spell some names in another way.
        optional: layers that a file may lack, because they take no part in the output.
        ignored: patterns of arrays that hold nothing learned, such as masks: left out on load, not written.
        aliases: names of arrays -> the array whose numbers they repeat: a file may have either or both.
        derived: arrays that follow from the rest of the model -> (our layer that they stand beside, (model, layer) ->
            value): left out on load, written on save.
        resized: our names (as in `modules`) of weights that belong to one image size -> the rule that resizes them,
            from `mixer_tf/weights/resizing.py`.
        published_side: side in pixels of the images that published files are for, where the shapes of their arrays do
            not tell it.
        numbering: model -> (name of an array by the table -> its name for that model), where the reference counts
            modules of which a model has only some.
    """

    name: str
    convention: Convention
    modules: Mapping[str, str | Parts]
    preprocessing: Callable[[str, tuple[int, int], set[str]], dict] | None = None
    respelled: Mapping[str, str] = dataclasses.field(default_factory=dict)
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    derived: Mapping[str, tuple[str, Callable[[keras.Model, layers.Layer], np.ndarray]]] = dataclasses.field(
        default_factory=dict
    )
    resized: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    published_side: int | None = None
    numbering: Callable[[keras.Model], Callable[[str], str]] = lambda model: lambda array: array

    def respell(self, name: str) -> str:
        """The layout's own spelling of an array's name."""
        for pattern, replacement in self.respelled.items():
            name = re.sub(pattern, replacement, name)
        return name

    def covers(self, layer: layers.Layer) -> bool:
        """Whether every variable of the layer has a name in this layout."""
        return all(self._find(layer, variable) for variable in layer.weights)

    def knows(self, array: str, only_layers: tuple[str, ...] = ()) -> bool:
        """Whether an array of that name belongs to this layout, or to the given layers in it."""
        if array.rpartition("/")[0] in only_layers:  # one that goes by our own name
            return True
        if not only_layers and any(pattern.fullmatch(array) for pattern in self._needless_patterns):
            return True
        return any(
            pattern.fullmatch(array) for ours, pattern in self._array_patterns if not only_layers or ours in only_layers
        )

    def knows_own(self, name: str) -> bool:
        """Whether `layer/variable`, our own name of a variable, is one of a layer in this layout."""
        layer = name.rpartition("/")[0]
        return any(_translated(candidate, self.modules) for candidate in (layer, name))

    def bind(self, model: keras.Model) -> list[Binding]:
        """Every variable of the model with its arrays; what the layout does not cover goes by `layer/variable`."""
        heads = {layer.name: layer.target_shape[1] for layer in all_layers(model) if layer.name.endswith("_heads")}
        blocks, numbered = _block_numbers(model), self.numbering(model)
        bindings = [self._bind(layer, variable, heads, blocks) for layer in owners(model) for variable in layer.weights]
        return [dataclasses.replace(binding, names=tuple(map(numbered, binding.names))) for binding in bindings]

    def resize_rule(self, layer: layers.Layer, variable: keras.Variable) -> Callable | None:
        """How the variable is resized for another image size; None if it does not depend on it."""
        names = (f"{layer.name}/{variable.name}", layer.name)
        rules = (rule for key, rule in self.resized.items() for name in names if re.fullmatch(_pattern(key), name))
        return next(rules, None)

    def without_aliases(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays without those that repeat another one.

        Raises:
            ValueError: when the two hold different numbers.
        """
        kept = {name: array for name, array in arrays.items() if name not in self.aliases}
        for name in arrays.keys() & self.aliases.keys():
            original = self.aliases[name]
            if not np.array_equal(kept.setdefault(original, arrays[name]), arrays[name]):
                raise ValueError(f"{name} must repeat {original}, which this model shares; given: other numbers")
        return kept

    def is_ignored(self, array: str) -> bool:
        """Whether an array of that name holds nothing learned."""
        return any(re.fullmatch(pattern, array) for pattern in self.ignored)

    def derived_arrays(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The arrays that the reference stores and that no variable of ours holds."""
        blocks = _block_numbers(model)
        counters = {
            self.convention.separator.join([module, counter]): np.zeros((), np.int64)
            for layer_class, counter in self.convention.counters.items()
            for layer in owners(model)
            if isinstance(layer, layer_class) and (parts := _translated(layer.name, self.modules, blocks))
            for module in parts.modules
        }
        derived = {
            parts.modules[0]: value(model, layer)
            for template, (beside, value) in self.derived.items()
            for layer in all_layers(model)
            if (parts := _translated(layer.name, {beside: template}, blocks))
        }
        numbered = self.numbering(model)
        return {numbered(name): array for name, array in (counters | derived).items()}

    @functools.cached_property
    def _needless_patterns(self) -> list[re.Pattern]:
        derived = (_pattern(template, field="[0-9]+") for template in self.derived)
        return [re.compile(pattern) for pattern in (*self.ignored, *map(re.escape, self.aliases), *derived)]

    @functools.cached_property
    def _array_patterns(self) -> list[tuple[str, re.Pattern]]:
        """Our layer and the arrays that it stands for, one pair per module of the table."""
        rows = [array for row in self.convention.arrays.values() for array, _ in row.values()]
        arrays = "|".join(sorted({*rows, *self.convention.counters.values()}))
        suffix = f"{re.escape(self.convention.separator)}({arrays})"
        return [
            (ours.partition("/")[0], re.compile(_pattern(module, field="[0-9]+") + ("" if "/" in ours else suffix)))
            for ours, theirs in self.modules.items()
            for module in _parts(theirs).modules
        ]

    def _find(
        self, layer, variable, blocks: Mapping[str, int] | None = None
    ) -> tuple[Parts, tuple[int, ...] | None] | None:
        """The arrays of a variable and the order of their axes; None if this layout has no name for it."""
        if parts := _translated(f"{layer.name}/{variable.name}", self.modules, blocks):
            return parts, parts.axes
        array, axes = self.convention.of(layer).get(variable.name, (None, None))
        parts = _translated(layer.name, self.modules, blocks)
        if array is None or parts is None:
            return None
        modules = tuple(self.convention.separator.join([module, array]) for module in parts.modules)
        return dataclasses.replace(parts, modules=modules), axes

    def _bind(self, layer, variable, heads: Mapping[str, int], blocks: Mapping[str, int]) -> Binding:
        own_name = Parts((f"{layer.name}/{variable.name}",)), None
        parts, axes = self._find(layer, variable, blocks) or own_name
        num_heads = heads.get(f"{layer.name.rpartition('_')[0]}_heads", 1)
        shape = parts.shape(_transposed(_part_shape(variable, len(parts.modules)), axes), num_heads)
        return Binding(layer, variable, parts.modules, axes, shape, parts.rows(layer, variable))


def all_layers(model: keras.Model) -> Iterator[layers.Layer]:
    """The layers of a model and of the models nested in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


def owners(model: keras.Model) -> list[layers.Layer]:
    """The layers that own weights."""
    return [layer for layer in all_layers(model) if layer.weights]


_BLOCK = re.compile(r"stage(\d+)_block(\d+)")
_FIELD = re.compile(r"\{(\d*)([a-z])([+-]\d+)?\}")  # {i}, {i-1} or {2i-2}


@functools.cache
def _pattern(template: str, field: str = r"(?P<\1>[0-9]+)") -> str:
    """`"block{i}_norm{n}"` as a regular expression with the groups i and n."""
    return re.sub(r"\\\{\d*([a-z])(?:\\?[+-]\d+)?\\\}", field, re.escape(template))


def _parts(theirs: str | Parts) -> Parts:
    return theirs if isinstance(theirs, Parts) else Parts((theirs,))


def _block_numbers(model: keras.Model) -> dict[str, int]:
    """`"stage2_block1"` and the like, in the order of depth -> their numbers through all stages."""
    found = {(int(match[1]), int(match[2])) for layer in owners(model) if (match := _BLOCK.match(layer.name))}
    return {f"stage{stage}_block{block}": number for number, (stage, block) in enumerate(sorted(found))}


def _translated(name: str, modules: Mapping[str, str | Parts], blocks: Mapping[str, int] | None = None) -> Parts | None:
    """The reference's names for one of ours, by the first template that fits; None when none does."""
    block = _BLOCK.match(name)
    number_of_block = (blocks or {}).get(block[0], 0) if block else 0
    for ours, theirs in modules.items():
        if match := re.fullmatch(_pattern(ours), name):
            numbers = {"b": number_of_block, **{key: int(number) for key, number in match.groupdict().items()}}
            parts = _parts(theirs)
            return dataclasses.replace(parts, modules=tuple(_filled(module, numbers) for module in parts.modules))
    return None


def _filled(template: str, numbers: Mapping[str, int]) -> str:
    """`"layer{i}.{j-1}"` with its numbers put in."""
    return _FIELD.sub(lambda field: str(int(field[1] or 1) * numbers[field[2]] + int(field[3] or 0)), template)


def _part_shape(variable: keras.Variable, num_parts: int) -> tuple[int, ...]:
    return tuple(variable.shape) if num_parts == 1 else (*variable.shape[:-1], variable.shape[-1] // num_parts)


def _transposed(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in axes) if axes else tuple(shape)
