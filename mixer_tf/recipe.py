"""A recipe: everything that decides how a run turns out, as a frozen dataclass in a Python file of its own.

    recipe = load("tasks/recipes/digits_mlp_mixer.py", ["epochs=5", "backbone_arguments.num_blocks=6"])
"""

import ast
import dataclasses
import difflib
import runpy
import typing
from pathlib import Path
from typing import Any, TypeVar

SomeRecipe = TypeVar("SomeRecipe", bound="Recipe")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every task shares. Sizes are in pixels, the batch is the global batch, learning rates are not scaled.

    Attributes:
        backbone: a name from `mixer_tf.list_backbones()`.
        backbone_arguments: arguments of the backbone's builder, in place of the variant's own.
        image_size: side, or (height, width).
        data: where the examples come from; the task says what it reads.
        data_dir: where TensorFlow Datasets keeps its data; None for its own default.
        batch_size: examples of one update, over all replicas.
        epochs: passes over the training split.
        steps: stop after so many updates; None for all epochs.
        learning_rate: its highest value.
        seed: decides initial weights, order, augmentation and dropout.
        precision: `float32` or `mixed_bfloat16`.
        strategy: `none`: one device.
        initial_weights: a `.keras`, `.weights.h5` or published checkpoint to start from; None for random weights.
        output_dir: where the run leaves its files.
        export: write a SavedModel to `saved_models/<name of output_dir>/<version>` at the end.
    """

    backbone: str
    backbone_arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    image_size: int | tuple[int, int] = 224
    data: str
    data_dir: str | None = None
    batch_size: int
    epochs: int
    steps: int | None = None
    learning_rate: float
    seed: int = 0
    precision: str = "float32"
    strategy: str = "none"
    initial_weights: str | None = None
    output_dir: str
    export: bool = True

    def __post_init__(self):
        for name in ("batch_size", "epochs"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; given: {getattr(self, name)}")
        require(self.steps is None or self.steps >= 1, f"steps must be at least 1 or None; given: {self.steps}")
        require(self.learning_rate > 0, f"learning_rate must be above 0; given: {self.learning_rate}")
        require(min(self.image_shape) > 0, f"image_size must be above 0; given: {self.image_size}")
        self._one_of("precision", ("float32", "mixed_bfloat16"))
        self._one_of("strategy", ("none",))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        height, width = (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size
        return (height, width, 3)

    def override(self: SomeRecipe, assignment: str) -> SomeRecipe:
        """The recipe with one field set from text, as on the command line.

        Args:
            assignment: `key=value`; `image_size` also takes `224x192`, a dictionary takes `key.entry=value`.

        Raises:
            ValueError: when the key is unknown (the nearest is named) or the value has the wrong type.
        """
        key, equals, text = assignment.partition("=")
        require(equals, f"an override must be key=value; given: {assignment!r}")
        key, _, entry = key.partition(".")
        types = typing.get_type_hints(type(self))
        if key not in types:
            nearest = difflib.get_close_matches(key, types, n=3, cutoff=0.4) or sorted(types)
            raise ValueError(f"recipe has no key {key!r}; nearest: {', '.join(nearest)}")
        value = _parse(text, types[key], key) if not entry else {**getattr(self, key), entry: _literal(text)}
        return dataclasses.replace(self, **{key: value})

    def _one_of(self, field: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, field)
        require(value in allowed, f"{field} must be one of {', '.join(allowed)}; given: {value!r}")


def require(condition: object, message: str) -> None:
    """Raise `ValueError(message)` unless the condition holds."""
    if not condition:
        raise ValueError(message)


def load(path: str, recipe_type: type[SomeRecipe], overrides: list[str] | None = None) -> SomeRecipe:
    """The recipe that a Python file defines under the name `recipe`, with `key=value` overrides.

    Raises:
        ValueError: when there is no such file, it defines no recipe of that type, or an override is wrong.
    """
    require(Path(path).is_file(), f"a recipe must be a Python file such as tasks/recipes/NAME.py; given: {path!r}")
    recipe = runpy.run_path(path).get("recipe")
    if not isinstance(recipe, recipe_type):
        raise ValueError(f"{path} must define recipe = {recipe_type.__name__}(...); it has: {type(recipe).__name__}")
    for assignment in overrides or []:
        recipe = recipe.override(assignment)
    return recipe


def _parse(text: str, annotation, key: str):
    """The value of a field from text: booleans and None in any case, `HxW` for sizes, Python literals, else the text."""
    allowed = typing.get_args(annotation) or (annotation,)
    kinds = tuple(typing.get_origin(kind) or kind for kind in allowed)
    value: Any = text if kinds == (str,) else _literal(text)
    if key == "image_size" and isinstance(value, str):
        sides = value.lower().split("x")
        value = tuple(int(side) for side in sides) if len(sides) == 2 and all(map(str.isdigit, sides)) else value
    if float in kinds and type(value) is int:
        value = float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ValueError(f"{key} must be {names}; given: {text!r}")
    return value


def _literal(text: str):
    """A Python literal, or the text itself."""
    word = text.strip().lower()
    if word in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
