"""The folder of a run."""

import json

from mixer_tf.recipe import ImageClassification
from mixer_tf.training.run_folder import create_run_folder, table_of


def recipe(output_dir):
    return ImageClassification(
        backbone="vit_s16", data="digits", batch_size=3, epochs=2, learning_rate=0.1, output_dir=str(output_dir)
    )


def test_a_folder_that_holds_something_is_never_written_into(tmp_path):
    wanted = recipe(tmp_path / "run")
    folders = [create_run_folder(wanted) for _ in range(3)]
    assert [folder.name for folder in folders] == ["run", "run-2", "run-3"]
    (tmp_path / "empty").mkdir()
    assert create_run_folder(recipe(tmp_path / "empty")).name == "empty"


def test_resolved_recipe_lies_in_it_with_the_versions(tmp_path):
    folder = create_run_folder(recipe(tmp_path / "a" / "b").override("image_size=24x40"))
    content = json.loads((folder / "recipe.json").read_text())
    assert content["image_size"] == [24, 40]
    assert content["versions"].keys() == {"python", "mixer-tf", "keras", "tensorflow", "numpy"}


def test_table_is_aligned_and_readable():
    assert table_of({"accuracy": 0.98765, "steps": 12345, "seconds": 123.456}).splitlines() == [
        "  accuracy  0.9877",
        "  steps     12,345",
        "  seconds   123.5",
    ]
