"""The program from the command line to the files that it leaves, and every bad input that it must refuse."""

import csv
import json
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.backbones import ARCHITECTURES
from mixer_tf.data.images import decode_image
from mixer_tf.recipe import ImageClassification, load

ROOT = Path(__file__).parents[2]
TASK = str(ROOT / "tasks" / "image_classification.py")
RECIPE = str(ROOT / "tasks" / "recipes" / "digits_mlp_mixer.py")
SMALL = ["image_size=16", "batch_size=50", "backbone_arguments.num_blocks=1", "backbone_arguments.hidden_dim=12"]


FINISHED = [*SMALL, "steps=40", "epochs=9", "ema=0.9", "mixup=0.2", "tensorboard=true"]


def run(*arguments, recipe=RECIPE):
    """Run the task in this process, as `python tasks/image_classification.py RECIPE ...` does; its exit code."""
    sys.argv = [TASK, recipe, *arguments]
    try:
        runpy.run_path(TASK, run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which one short run was made, and another with the same seed, which `runs/again` holds."""
    folder = tmp_path_factory.mktemp("clone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        patch.setenv("COLUMNS", "200")
        for name in ("digits_mlp_mixer", "again"):
            assert run(*FINISHED, f"output_dir=runs/{name}") == 0
    return folder


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_run_leaves_everything_that_it_promises(finished):
    output = finished / "runs" / "digits_mlp_mixer"
    names = {path.name for path in output.iterdir()}
    assert names >= {"recipe.json", "history.csv", "metrics.json", "model.keras", "model_ema.keras", "tensorboard"}
    assert names >= {"accuracy_per_class.csv", "confusion_matrix.csv"}
    assert names >= {"learning_curves.png", "confusion_matrix.png", "most_wrong.png"}
    assert metrics(output).keys() >= {
        "accuracy",
        "top_5_accuracy",
        "loss",
        "ema_accuracy",
        "parameters",
        "train_seconds",
        "train_examples_per_second",
        "epochs",
        "seed",
    }
    assert all(type(value) in (int, float) for value in metrics(output).values())
    recipe = json.loads((output / "recipe.json").read_text())
    assert (recipe["steps"], recipe["image_size"]) == (40, 16)
    assert recipe["versions"]["keras"] == keras.__version__


def test_run_stops_after_the_step_it_was_told(finished):
    rows = list(csv.DictReader((finished / "runs" / "digits_mlp_mixer" / "history.csv").open()))
    assert len(rows) == 2  # 28 steps, then 12
    assert metrics(finished / "runs" / "digits_mlp_mixer")["steps"] == 40
    model = keras.models.load_model(finished / "runs" / "digits_mlp_mixer" / "model.keras")
    assert int(model.optimizer.iterations) == 40


def test_same_seed_gives_the_same_metrics(finished):
    first, second = (metrics(finished / "runs" / name) for name in ("digits_mlp_mixer", "again"))
    for timed in ("train_seconds", "train_examples_per_second"):
        del first[timed], second[timed]
    assert first == second
    assert first["loss"] < np.log(10)
    assert first["loss"] != first["ema_loss"]


def test_exported_model_gives_the_scores_of_the_averaged_weights(finished):
    model = keras.models.load_model(finished / "runs" / "digits_mlp_mixer" / "model_ema.keras")
    folder = finished / "saved_models" / "digits_mlp_mixer" / "1"
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    png = tf.io.encode_png(np.random.default_rng(0).integers(256, size=(9, 11, 3)).astype("uint8"))
    outputs = signature(image_bytes=png[None])
    logits = model.predict(model.preprocessing(decode_image(png))[None], verbose=0)
    np.testing.assert_allclose(outputs["scores"], keras.ops.softmax(logits), atol=1e-5)
    assert [name.decode() for name in outputs["classes"].numpy()[0]] == list("0123456789")


def test_finished_run_is_left_as_it_is(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(sys, "argv", sys.argv)
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert run(*FINISHED, "output_dir=runs/again") == 0
    assert "this run has finished; another output_dir trains anew" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_finished_run_is_never_overwritten(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run(*FINISHED, "output_dir=runs/again", "resume=false") == 2
    assert "output_dir must be empty with resume=false; given: runs/again" in capsys.readouterr().err
    assert run(*FINISHED, "output_dir=runs/again", "seed=5") == 2
    assert "begun with another seed (0, now 5)" in capsys.readouterr().err


def test_replicas_micro_batches_and_several_steps_at_once_train_as_one_replica_does(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr("mixer_tf.training.fit.signal.signal", lambda *arguments: None)  # the test's own stays
    parts = ["batch_size=52", "steps=6", "optimizer=sgd", "export=false", "head_dropout=0"]
    for name, more in {
        "one": [],
        "two": ["strategy=mirrored", "accumulate_steps=2", "steps_per_execution=3", "epochs=2"],
    }.items():
        assert run(*SMALL, *parts, *more, f"output_dir={name}") == 0
    one, two = (metrics(tmp_path / name) for name in ("one", "two"))
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
    assert one["steps"] == two["steps"] == 6


def test_training_goes_on_from_an_earlier_run_with_a_new_head(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(sys, "argv", sys.argv)
    start = "initial_weights=runs/digits_mlp_mixer/model.keras"
    more = ["steps=3", "export=false", "freeze_up_to=block0", "optimizer=lamb", "loss=sigmoid", "crop=0.9"]
    assert run(*SMALL, start, "skip_head=true", "output_dir=runs/tuned", *more) == 0
    output = capsys.readouterr().out
    assert "frozen up to block0" in output
    before, after = (
        keras.models.load_model(finished / "runs" / name / "model.keras") for name in ("digits_mlp_mixer", "tuned")
    )
    kernel = "block0_token_mixing_fc1"
    np.testing.assert_array_equal(before.get_layer(kernel).kernel, after.get_layer(kernel).kernel)
    assert np.abs(before.get_layer("head").kernel - after.get_layer("head").kernel).max() > 0
    assert after.preprocessing.crop == 0.9


def test_mixed_bfloat16_trains_and_exports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run(*SMALL, "steps=2", "precision=mixed_bfloat16", "image_size=12x20") == 0
    assert (tmp_path / "saved_models" / "digits_mlp_mixer" / "1" / "saved_model.pb").exists()
    model = keras.models.load_model(tmp_path / "runs" / "digits_mlp_mixer" / "model.keras")
    assert model.get_layer("block0_norm1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    assert model.input.shape == (None, 12, 20, 3)


def test_unwritable_export_folder_shows_before_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    (tmp_path / "saved_models").write_text("a file where the folder should be")
    assert run(*SMALL, "steps=1") == 2
    assert "saved_models" in capsys.readouterr().err


def test_help_lists_the_keys_with_their_values(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run("epochs=7", "--help") == 0
    output = capsys.readouterr().out
    assert "epochs=7" in output
    assert "label_smoothing=0.1" in output
    assert "share of the label spread over all classes" in output  # a key's meaning
    assert "passes over the training split" in output  # also of a key that every task has


def picture(path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((9, 13, 3), np.uint8) if pixels is None else pixels
    path.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    return path


def picture_folder(root, splits=("train", "test"), classes=("cat", "dog"), count=4):
    for split in splits:
        for name in classes:
            for i in range(count):
                picture(root / split / name / f"{i}.jpg")
    return root


def malicious_pth(path):
    """A file that PyTorch of old would have run a command from."""
    import os
    import pickle
    import zipfile

    class Command:
        def __reduce__(self):
            return os.system, (f"touch {path.parent / 'ran'}",)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model": Command()}))
    return path


def keras_file(path):
    """A file of ours, but of another architecture."""
    mt.create_backbone("resnet", (32, 32, 3), stage_depths=(1,), stage_widths=(4,)).save(path)
    return path


def bad_inputs(folder):
    """name -> (arguments, what the one line must say)."""
    no_splits = folder / "no_splits"
    picture(no_splits / "cat" / "a.jpg")
    picture(no_splits / "dog" / "a.jpg")
    empty_class = picture_folder(folder / "empty_class")
    (empty_class / "train" / "fish").mkdir()
    truncated = picture_folder(folder / "truncated")
    broken = truncated / "train" / "dog" / "2.jpg"
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3)).astype("uint8")
    broken.write_bytes(picture(broken, noise).read_bytes()[:900])
    resnet = folder / "resnet.safetensors"
    backbone = mt.create_backbone("resnet", (32, 32, 3), stage_depths=(1,), stage_widths=(4,))
    mt.save_weights(backbone, resnet, layout="timm")
    return {
        "unknown key": (["epoch=3"], "recipe has no key 'epoch'; nearest: epochs"),
        "unknown backbone": (["backbone=mlp_mixer_b17"], "nearest: mlp_mixer_b16"),
        "unknown argument": (["backbone_arguments.depth=3"], "takes no argument depth; it takes"),
        "image size": (["image_size=30"], "image_size 30x30 must be divisible by patch_size 4; nearest: 32x32"),
        "no splits": ([f"data=folder:{no_splits}"], "train"),
        "no folder": ([f"data=folder:{folder / 'missing'}"], "missing"),
        "not prepared": (["data=tfds:mnist", f"data_dir={folder}"], "download_and_prepare"),
        "unknown data": (["data=digit"], "given: 'digit'"),
        "empty class": ([f"data=folder:{empty_class}", "batch_size=2"], "fish"),
        "truncated": ([f"data=folder:{truncated}", "batch_size=2"], str(broken)),
        "other architecture": ([f"initial_weights={resnet}"], "looks like resnet"),
        "malicious": ([f"initial_weights={malicious_pth(folder / 'evil.pth')}"], "system"),
        "no checkpoint": (["initial_weights=none.npz"], "none.npz"),
        "batch too large": (["batch_size=2000"], "1437"),
        "optimizer": (["optimizer=adamx"], "adamw"),
        "augmentation": (["random_erasing=3"], "random_erasing"),
        "unfrozen": (["freeze_up_to=block9"], "block3"),
        "crop of nothing": (["crop=0"], "crop must be greater than 0"),
        "no interpolation": (["interpolation=cubic"], "interpolation must be one of"),
        "no blocks": (["backbone_arguments.num_blocks=0"], "num_blocks must be at least 1; given: 0"),
        "parameter server": (["strategy=parameter_server"], "its workers do not wait for each other"),
        "no worker": (["strategy=multi_worker"], "strategy=multi_worker needs TF_CONFIG, as in"),
        "batch of replicas": (["strategy=mirrored", "batch_size=51"], "51; nearest: 52"),
        "batch of micro-batches": (["accumulate_steps=7", "batch_size=51"], "given: 51; nearest: 49"),
        "steps at once": (["steps_per_execution=5"], "steps_per_execution must divide the"),
        "checkpoint time": (["checkpoint_every=5m"], "a number of updates such as 500, or a time such as 300s"),
        "no checkpoints": (["checkpoint_every=0"], "checkpoint_every must be a number of updates"),
        "keras file of another": ([f"initial_weights={keras_file(folder / 'resnet.keras')}"], "looks like resnet"),
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return bad_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize(
    "name",
    [
        "unknown key",
        "unknown backbone",
        "unknown argument",
        "image size",
        "no splits",
        "no folder",
        "not prepared",
        "unknown data",
        "empty class",
        "truncated",
        "other architecture",
        "malicious",
        "no checkpoint",
        "batch too large",
        "optimizer",
        "augmentation",
        "unfrozen",
        "crop of nothing",
        "no interpolation",
        "no blocks",
        "keras file of another",
        "parameter server",
        "no worker",
        "batch of replicas",
        "batch of micro-batches",
        "steps at once",
        "checkpoint time",
        "no checkpoints",
    ],
)
def test_bad_input_ends_with_exit_code_2_and_one_line(name, inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    arguments, sentence = inputs[name]
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1, error
    assert list(tmp_path.iterdir()) == []  # no run folder is left behind


def test_pickle_of_the_malicious_file_did_not_run(inputs):
    path = Path(inputs["malicious"][0][0].partition("=")[2])
    assert path.exists()
    assert not (path.parent / "ran").exists()


def test_broken_picture_is_skipped_and_counted_when_the_recipe_says_so(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    arguments, _ = inputs["truncated"]
    assert run(*arguments, "skip_broken=true", *SMALL, "batch_size=7", "steps=1", "export=false") == 0
    counts = metrics(tmp_path / "runs" / "digits_mlp_mixer")
    assert (counts["skipped_images"], counts["train_examples"], counts["evaluation_examples"]) == (1, 7, 8)


def test_run_that_diverges_ends_with_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run(*SMALL, "optimizer=sgd", "learning_rate=1e30", "clip_norm=none", "schedule=constant", "steps=9") == 2
    assert "the loss must stay finite" in capsys.readouterr().err


DIGITS = sorted((ROOT / "tasks" / "recipes").glob("digits_*.py"))


@pytest.mark.parametrize("recipe", DIGITS, ids=lambda path: path.stem)
def test_every_architecture_trains_a_few_steps_by_its_own_recipe(tmp_path, monkeypatch, recipe):
    monkeypatch.setattr(sys, "argv", sys.argv)
    tf.config.run_functions_eagerly(True)  # two steps are not worth a graph
    try:
        small = ("steps=2", "batch_size=180", "export=false", f"output_dir={tmp_path}")
        assert run(*small, recipe=str(recipe)) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    assert np.isfinite(metrics(tmp_path)["loss"])


def test_every_paper_of_images_has_a_recipe_on_the_digits():
    """One of each paper's forms; EANet is for segmentation."""
    files = {
        build.__module__
        for build, table in ARCHITECTURES.values()
        if table.keys() & {*mt.list_backbones(reads="image")}
    }
    tried = {ARCHITECTURES[load(str(path), ImageClassification).backbone][0].__module__ for path in DIGITS}
    assert files - tried == {"mixer_tf.backbones.eanet"}
