"""The folder of a run."""

import json

import pytest

from mixer_tf.recipe import ImageClassification
from mixer_tf.training.run_folder import (
    create_run_folder,
    finished_metrics,
    require_same_data,
    table_of,
    write_json,
)


def recipe(output_dir):
    return ImageClassification(
        backbone="vit_s16", data="digits", batch_size=3, epochs=2, learning_rate=0.1, output_dir=str(output_dir)
    )


def begun(folder, *files):
    """A recipe and its folder, with some files in it."""
    wanted = recipe(folder)
    create_run_folder(wanted)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"accuracy": 0.5}')
    return wanted


CHECKPOINT = "checkpoints/step-00000003/state.npz"


@pytest.mark.parametrize("prepare", ["nothing", "empty folder", "half a recipe", "begun", "begun with a checkpoint"])
def test_run_that_is_not_finished_goes_on(tmp_path, prepare):
    folder = tmp_path / "run"
    if prepare in ("empty folder", "half a recipe"):
        folder.mkdir()
    if prepare == "half a recipe":  # killed while it was written aside
        (folder / ".recipe.json").write_text('{"backb')
    if prepare.startswith("begun"):
        begun(folder, *([CHECKPOINT] if "checkpoint" in prepare else []))
    assert finished_metrics(recipe(folder)) is None


def test_finished_run_has_its_figures(tmp_path):
    assert finished_metrics(begun(tmp_path / "run", CHECKPOINT, "metrics.json")) == {"accuracy": 0.5}


@pytest.mark.parametrize("file", [CHECKPOINT, "metrics.json"])
def test_another_recipe_is_refused_by_the_fields_that_differ(tmp_path, file):
    other = begun(tmp_path / "run", file).override("epochs=3").override("image_size=24x40")
    message = r"same recipe; given: .*run, begun with another epochs \(2, now 3\), image_size \(224, now \[24, 40\]\)"
    with pytest.raises(ValueError, match=message):
        finished_metrics(other)


def test_what_does_not_decide_the_result_may_change(tmp_path):
    wanted = begun(tmp_path / "run", CHECKPOINT)
    for change in ("strategy=none", "checkpoint_every=7", "keep_checkpoints=3", "export=false", "data_dir=elsewhere"):
        wanted = wanted.override(change)
    assert finished_metrics(wanted) is None


SAME = {"texts": "1f", "vocabulary": "2e"}


def test_data_is_noted_where_a_run_begins(tmp_path):
    wanted = begun(tmp_path / "run")
    require_same_data(wanted, SAME, write=False)
    require_same_data(wanted, {})  # of a source that its name describes
    assert not (tmp_path / "run" / "data.json").exists()
    for data in (SAME, SAME | {"texts": "3d"}):  # nothing was trained on the first
        require_same_data(wanted, data)
        assert json.loads((tmp_path / "run" / "data.json").read_text()) == data


@pytest.mark.parametrize("other", [["texts"], ["vocabulary"], ["texts", "vocabulary"]])
def test_other_data_is_refused_where_a_run_goes_on(tmp_path, other):
    wanted = begun(tmp_path / "run")
    require_same_data(wanted, SAME)
    begun(tmp_path / "run", CHECKPOINT)
    require_same_data(wanted, SAME)
    sentence = rf"same texts and vocabulary; given: .*run, begun with other {' and other '.join(other)}; take another"
    with pytest.raises(ValueError, match=sentence):
        require_same_data(wanted, SAME | dict.fromkeys(other, "4c"))
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == SAME


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"output_dir must be a folder that can be made; given: .*: Not a directory"):
        create_run_folder(recipe(tmp_path / "file" / "run"))


def test_recipe_may_change_as_long_as_nothing_was_saved(tmp_path):
    assert finished_metrics(begun(tmp_path / "run", "history.csv").override("epochs=3")) is None


def test_folder_that_is_not_empty_is_refused_without_resume(tmp_path):
    wanted = begun(tmp_path / "run").override("resume=false")
    with pytest.raises(ValueError, match=r"output_dir must be empty with resume=false; given: .*run with recipe.json"):
        finished_metrics(wanted)
    assert finished_metrics(recipe(tmp_path / "new").override("resume=false")) is None


def test_folder_that_is_no_run_and_file_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    with pytest.raises(ValueError, match=r"must be empty or hold a run; given: .* with notes.txt and no recipe.json"):
        finished_metrics(recipe(tmp_path))
    with pytest.raises(ValueError, match=r"output_dir must be a folder; given: .*notes.txt, a file"):
        finished_metrics(recipe(tmp_path / "notes.txt"))


def test_other_versions_are_named_but_not_refused(tmp_path, caplog):
    wanted = begun(tmp_path / "run", CHECKPOINT)
    content = json.loads((tmp_path / "run" / "recipe.json").read_text())
    write_json(tmp_path / "run" / "recipe.json", {**content, "versions": {**content["versions"], "keras": "3.14.0"}})
    assert finished_metrics(wanted) is None
    assert "goes on with another version of keras than it began with" in caplog.text


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
