"""Recipes: files, overrides from text, and the sentences that refuse the rest."""

import dataclasses
from pathlib import Path

import keras
import pytest

import mixer_tf as mt
from mixer_tf.data.augment import Augmentation
from mixer_tf.recipe import ImageClassification, MaskedImage, MaskedLanguage, ObjectDetection, Recipe, load

RECIPES = sorted((Path(__file__).parents[1] / "tasks" / "recipes").glob("*.py"))

BASE = ImageClassification(
    backbone="vit_s16", data="digits", batch_size=3, epochs=2, learning_rate=0.1, output_dir="somewhere"
)


@pytest.mark.parametrize(
    ("assignment", "field", "value"),
    [
        ("epochs=5", "epochs", 5),
        ("learning_rate=1", "learning_rate", 1.0),
        ("image_size=32", "image_size", 32),
        ("image_size=32x48", "image_size", (32, 48)),
        ("flip=true", "flip", True),
        ("flip=False", "flip", False),
        ("steps=none", "steps", None),
        ("initial_weights=runs/a=b.npz", "initial_weights", "runs/a=b.npz"),
        ("rand_augment=(2, 9.0)", "rand_augment", (2, 9.0)),
        ("backbone_arguments.num_blocks=4", "backbone_arguments", {"num_blocks": 4}),
        ("data=folder:/a b/c", "data", "folder:/a b/c"),
        ("eval_split=2024", "eval_split", "2024"),
        ("checkpoint_every=7", "checkpoint_every", 7),
    ],
)
def test_override_reads_the_fields_own_type(assignment, field, value):
    result = getattr(BASE.override(assignment), field)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("epoch=5", "recipe has no key 'epoch'; nearest: epochs"),
        ("epochs=five", "epochs must be int; given: 'five'"),
        ("epochs=0", "epochs must be at least 1; given: 0"),
        ("batch_size=2.5", "batch_size must be int; given: 2.5"),
        ("batch_size=true", "batch_size must be int"),
        ("flip=3", "flip must be bool; given: 3"),
        ("image_size=0x32", "image_size must be N or HxW above 0"),
        ("image_size=('a','b')", "image_size must be int or (int, int); given: ('a', 'b')"),
        ("image_size=(32,)", "image_size must be int or (int, int); given: (32,)"),
        ("image_size=()", "image_size must be int or (int, int); given: ()"),
        ("random_resized_crop=('a','b')", "random_resized_crop must be (float, float) or None; given: ('a', 'b')"),
        ("output_dir=", "output_dir must be str; given: ''"),
        ("initial_weights=", "initial_weights must be str or None; given: ''"),
        ("skip_head=true", "skip_head needs initial_weights"),
        ("warmup_epochs=-1", "warmup_epochs must be at least 0; given: -1.0"),
        ("head_dropout=-1", "head_dropout must be in [0, 1); given: -1.0"),
        ("learning_rate=1e999", "learning_rate must be float; given: inf"),
        ("backbone_arguments.image_shape=3", "backbone_arguments must not have image_shape"),
        ("image_size=1x2x3", "image_size must be int or (int, int); given: '1x2x3'"),
        ("learning_rate=-1", "learning_rate must be above 0; given: -1.0"),
        ("precision=float16", "precision must be one of float32, mixed_bfloat16; given: 'float16'"),
        ("epochs.first=3", "epochs has no entries"),
        ("epochs", "an override must be key=value; given: 'epochs'"),
    ],
)
def test_wrong_override_is_refused_in_one_sentence(assignment, sentence):
    with pytest.raises(ValueError, match=r".+") as error:
        BASE.override(assignment)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_overrides_are_checked_together_whatever_their_order():
    recipe = BASE.override(
        "skip_head=true", "backbone_arguments.a=1", "initial_weights=x.npz", "backbone_arguments.b=2"
    )
    assert (recipe.skip_head, recipe.backbone_arguments) == (True, {"a": 1, "b": 2})


def test_missing_file_is_refused():
    with pytest.raises(ValueError, match="a recipe must be a Python file"):
        load("no/such/recipe.py", ImageClassification)


def test_file_with_an_unknown_key_is_refused(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text("from mixer_tf.recipe import ImageClassification\nrecipe = ImageClassification(epoch=3)\n")
    with pytest.raises(ValueError, match=r"valid recipe; Python says: TypeError: .*'epoch'"):
        load(str(path), ImageClassification)


@pytest.mark.parametrize("content", ["recipe = X(", "recipe = unknown_name", "import no_such_module", "\0"])
def test_file_that_python_cannot_run_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "recipe.py"
    path.write_text(content)
    with pytest.raises(ValueError, match="must be a valid recipe; Python says: ") as error:
        load(str(path), ImageClassification)
    assert "\n" not in str(error.value)


TEXTS = MaskedLanguage(
    backbone="bert", data="sentences", batch_size=3, epochs=2, learning_rate=0.1, output_dir="somewhere"
)


def test_a_pair_of_texts_is_given_as_one():
    assert TEXTS.override("fill=('a [MASK]', 'b')").fill == ("a [MASK]", "b")
    assert TEXTS.override("fill=(a) [MASK]").fill == "(a) [MASK]"


@pytest.mark.parametrize("fill", ["('[MASK]','b','c')", "('a [MASK]', 'b'", "('a [MASK]','')"])
def test_a_wrong_pair_of_texts_is_not_taken_for_a_text(fill):
    with pytest.raises(ValueError, match="fill must be "):
        TEXTS.override(f"fill={fill}")


def test_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.epochs = 3


PROGRAMS = {
    ImageClassification: "image_classification",
    ObjectDetection: "object_detection",
    MaskedImage: "masked_image",
    MaskedLanguage: "masked_language",
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipe_is_whole(path):
    """Its backbone can be built, its augmentation is valid, it says how to run it and names its own folder."""
    recipe = load(str(path), Recipe)
    assert recipe.output_dir == f"runs/{path.stem}"
    assert f"python tasks/{PROGRAMS[type(recipe)]}.py tasks/recipes/{path.name}" in path.read_text()
    with keras.StatelessScope():
        if isinstance(recipe, MaskedLanguage):
            sizes = {"sequence_length": recipe.sequence_length, "vocab_size": recipe.vocab_size}
            mt.create_backbone(recipe.backbone, **sizes, **recipe.backbone_arguments)
        else:
            changes = recipe.select({field.name for field in dataclasses.fields(Augmentation)} & vars(recipe).keys())
            Augmentation(**changes)
            mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
        keras.backend.clear_session()
