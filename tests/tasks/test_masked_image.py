"""Pretraining on pictures, from the command line to the files that it leaves, and every bad input that it refuses."""

import math
import random
import signal
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.keras_fixes import Model
from tests.tasks import programs

SGD = ["optimizer=sgd", "learning_rate=0.05"]  # Adam makes much of differences that are only rounding
FEW = [*SGD, "batch_size=12", "steps=4", "patch_size=4", "output_dir=run"]
SMALL = {  # of the shipped recipe: sizes that are quick
    "resnet": ["image_size=16x24", "stage_depths=(1, 1)", "stage_widths=(6, 8)", "stem_dim=5"],
    "cycle_mlp": ["image_size=16x24", "stage_depths=(1, 1)", "stage_widths=(8, 12)"],
    "raft_mlp": ["image_size=16x24", "stage_depths=(1, 1)", "stage_widths=(8, 12)"],
    "mlp_mixer": ["image_size=16x24", "num_blocks=1", "hidden_dim=10", "tokens_mlp_dim=7", "channels_mlp_dim=14"],
    "vit": ["image_size=16x24", "num_blocks=1", "hidden_dim=12", "num_heads=3", "mlp_dim=20"],
}
FINISHED = ["data=digits", "ema=0.9", "synchronized_norm=true", "batch_size=51"]


def small(backbone):
    """The overrides of a small form of a shipped recipe."""
    size, *arguments = SMALL[backbone]
    return [*FEW, size, *(f"backbone_arguments.{argument}" for argument in arguments)]


def run(backbone, *arguments):
    """The program in this process, on the small form of a shipped recipe; its exit code."""
    return programs.run("masked_image", programs.shipped(f"masked_image_{backbone}"), *small(backbone), *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which one short run on the digits was made, and what it printed."""
    folder = tmp_path_factory.mktemp("clone")
    with programs.working_in(folder):
        assert run("resnet", *FINISHED) == 0
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A folder in which one short run on a Markov chain was made, and what it printed."""
    folder = tmp_path_factory.mktemp("markov")
    with programs.working_in(folder):
        assert run("mlp_mixer") == 0
    return folder


def test_run_leaves_everything_that_it_promises(finished):
    names = {path.name for path in (finished / "run").iterdir()}
    assert names >= {"recipe.json", "history.csv", "metrics.json", "model.keras", "model_ema.keras", "checkpoints"}
    assert names >= {"learning_curves.png", "masked.png"}
    figures = programs.metrics(finished / "run")
    of_patches = {f"masked_{name}" for name in ("loss", "accuracy", "top_5_accuracy")}
    of_features = {"linear_probe_accuracy", "nearest_neighbour_accuracy"}
    assert figures.keys() >= {f"{name}_{kind}" for name in of_patches for kind in ("masked", "random", "kept")}
    assert figures.keys() >= {f"{ema}{name}" for ema in ("", "ema_") for name in of_patches | of_features}
    assert figures.keys() >= {
        "scored_tokens",
        "marginal_loss",
        "copied_color_accuracy",
        "parameters",
        "train_seconds",
        "skipped_images",
    }
    assert all(type(value) in (int, float) and math.isfinite(value) for value in figures.values())
    assert figures["masked_loss"] != figures["ema_masked_loss"]
    assert figures["linear_probe_accuracy"] > 0.3  # ten digits, and features of a network that is hardly trained
    assert (figures["steps"], figures["train_examples"], figures["evaluation_examples"]) == (4, 1437, 360)
    assert not (finished / "saved_models").exists()


def test_run_says_what_to_do_next(finished):
    printed = (finished / "printed.txt").read_text()
    assert "7 batch norms are synchronised" in printed
    assert "initial_weights=run/model_ema.keras" in printed
    assert "Next, train on labels:  python tasks/image_classification.py RECIPE" in printed


def test_finished_run_is_left_as_it_is(finished, work, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert run("resnet", *FINISHED) == 0
    assert "this run has finished; another output_dir trains anew" in capsys.readouterr().out
    assert run("resnet", *FINISHED, "mask_rate=0.4") == 2
    error = capsys.readouterr().err
    assert "begun with another mask_rate (0.5, now 0.4)" in error
    assert error.count("\n") == 1
    assert run("resnet", *FINISHED, "resume=false") == 2
    assert "output_dir must be empty with resume=false; given: run" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_known_floor_is_printed(known):
    printed, figures = (known / "printed.txt").read_text(), programs.metrics(known / "run")
    for name in ("masked_loss", "marginal_loss", "bayes_loss", "gap", "gap_standard_error", "copied_color_accuracy"):
        assert f"  {name} " in printed
        assert math.isfinite(figures[name])
    assert figures["gap"] == pytest.approx(figures["masked_loss"] - figures["bayes_loss"])
    assert figures["bayes_loss"] < figures["marginal_loss"] < figures["masked_loss"]  # hardly trained
    copies = figures["copied_color_accuracy"] * figures["scored_tokens"]  # of all batches of the evaluation
    assert copies == pytest.approx(round(copies), abs=1e-6)
    assert "linear_probe_accuracy" not in figures  # there are no labels
    assert "initial_weights=run/model.keras" in printed


def test_replicas_and_micro_batches_train_as_one_replica_does(known, work):
    assert run("mlp_mixer", "strategy=mirrored", "accumulate_steps=3", "steps_per_execution=2") == 0
    programs.assert_as_one_replica(known / "run", work / "run")


def test_replicas_with_synchronised_norms_train_as_one_replica_does(work):
    for name, *more in (("one",), ("two", "strategy=mirrored", "synchronized_norm=true")):
        assert run("resnet", f"output_dir={name}", *more) == 0
    programs.assert_as_one_replica(work / "one", work / "two")


@pytest.mark.parametrize("backbone", ["cycle_mlp", "raft_mlp", "vit"])
def test_backbones_of_every_kind_train(work, eager, backbone):
    target = "pixels" if backbone == "vit" else "colors"
    assert run(backbone, "steps=2", f"target={target}", "mask_rate=0.4") == 0
    figures = programs.metrics("run")
    assert math.isfinite(figures["masked_loss"])
    assert ("bayes_loss" in figures) == (target == "colors")


def test_normalised_pixels_of_a_folder_in_mixed_bfloat16(work, eager):
    random_state = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (work / "pictures" / split / name).mkdir(parents=True)
            for i in range(7):
                pixels = random_state.integers(256, size=(19, 31, 3)).astype("uint8")
                (work / "pictures" / split / name / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    (work / "pictures" / "train" / "dog" / "broken.jpg").write_bytes(b"no picture")
    more = ["data=folder:pictures", "skip_broken=true", "target=pixels", "precision=mixed_bfloat16", "ema=0.5"]
    augmentation = ["flip=true", "random_resized_crop=(0.5, 1.0)", "crop=0.9"]
    assert run("resnet", *more, *augmentation, "neighbours=5", "steps=2") == 0
    figures = programs.metrics("run")
    assert all(math.isfinite(value) for value in figures.values())
    assert figures["marginal_loss"] == pytest.approx(0.8, abs=0.1)  # of values with mean 0 and variance 1, said to be 0
    assert figures["masked_loss"] == pytest.approx(figures["marginal_loss"], abs=0.3)  # hardly trained
    assert (figures["skipped_images"], figures["train_examples"], figures["evaluation_examples"]) == (1, 14, 14)
    model = keras.models.load_model("run/model_ema.keras")
    assert model.get_layer("head_input").compute_dtype == "bfloat16"
    assert (model.output.dtype, model.output.shape) == ("float32", (None, 4, 6, 48))
    assert model.preprocessing.crop == 0.9


def test_pictures_without_labels_lie_in_the_split_itself(work, eager, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)  # which only the probes need
    for split, count in (("train", 13), ("validation", 5)):
        (work / "pictures" / split).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i).integers(256, size=(19, 31, 3)).astype("uint8")
            (work / "pictures" / split / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    assert run("resnet", "data=folder:pictures", "steps=1", "ema=0.9") == 0
    printed = capsys.readouterr().out
    assert printed.count("folder:pictures has no labels: linear_probe_accuracy and nearest_neighbour_accuracy are") == 1
    figures = programs.metrics("run")
    assert (figures["train_examples"], figures["evaluation_examples"]) == (13, 5)
    assert not {"linear_probe_accuracy", "nearest_neighbour_accuracy"} & figures.keys()


def test_leak_ends_the_run_with_one_sentence(work, eager, monkeypatch, capsys):
    def peeking(backbone, *, patch_size, target):
        shapes = {"image": (16, 24, 3), "masked_units": (2, 3), "labels": (4, 6)}
        inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
        features = keras.layers.UpSampling2D(2)(backbone.call(inputs["image"]))
        labels = keras.ops.one_hot(keras.ops.cast(inputs["labels"], "int32"), 512)
        return Model(inputs, 0.0 * keras.layers.Dense(512)(features) + 9.0 * labels)

    monkeypatch.setattr("mixer_tf.masked_image_model", peeking)
    monkeypatch.setattr("mixer_tf.data.masked_images.to_fit", peeking_batches)
    assert run("resnet", "steps=1") == 2
    error = capsys.readouterr().err
    assert "masked_loss must not be below bayes_loss" in error
    assert "the model sees what it has to guess" in error
    assert error.count("\n") == 1
    assert not (work / "run" / "metrics.json").exists()


def peeking_batches(batch):
    """What `to_fit` gives, with the labels among the inputs."""
    inputs = {name: batch[name] for name in ("image", "masked_units", "labels")}
    return inputs, batch["labels"], tf.cast(batch["kinds"] > 0, tf.float32)


def test_classifier_goes_on_from_what_was_learned(finished, work, eager, capsys):
    pretrained = keras.models.load_model(finished / "run" / "model.keras")
    recipe = programs.shipped("digits_resnet")
    arguments = [argument for argument in small("resnet") if "patch_size" not in argument]
    arguments += ["backbone=resnet", "backbone_arguments.block=basic", "export=false", "steps=1"]
    arguments += [f"initial_weights={finished / 'run' / 'model.keras'}", "freeze_up_to=backbone"]
    assert programs.run("image_classification", recipe, *arguments) == 0
    printed = capsys.readouterr().out
    [taken] = [line for line in printed.splitlines() if "model.keras: " in line]
    assert "parameters loaded (resnet" in taken
    assert "skipped 3 (mask_tile" in taken or "skipped 3 (head_patches" in taken  # what only the pretraining had
    assert "kept 2 (head" in taken  # what only the classifier has
    classifier = keras.models.load_model("run/model.keras")
    shared = [layer.name for layer in classifier.layers if layer.weights and not layer.name.startswith("head")]
    assert len(shared) > 8
    for name in shared:
        for before, after in zip(pretrained.get_layer(name).weights, classifier.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(before, after, err_msg=name)


def test_classifier_refuses_another_backbone(finished, work, capsys):
    recipe = programs.shipped("digits_mlp_mixer")
    start = f"initial_weights={finished / 'run' / 'model.keras'}"
    assert programs.run("image_classification", recipe, start, "output_dir=run") == 2
    error = capsys.readouterr().err
    assert "looks like resnet" in error
    assert error.count("\n") == 1
    assert not (work / "run").exists()


def test_killed_run_ends_as_if_nothing_had_happened(tmp_path):
    folders = [tmp_path / name for name in ("unbroken", "killed")]
    more = ["data=digits", "steps=60", "epochs=9", "checkpoint_every=1", "batch_size=36", "padded_crop=2", "ema=0.9"]

    def start(folder):
        folder.mkdir(exist_ok=True)
        recipe = programs.shipped("masked_image_resnet")
        return programs.start(folder, "masked_image", recipe, *small("resnet"), *more)

    unbroken, killed = map(start, folders)
    moments = random.Random(time.time_ns())  # others in every run of this test
    programs.wait_for_steps(folders[1], killed, moments.randrange(1, 45))
    time.sleep(moments.uniform(0, 0.1))
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(timeout=60) == -signal.SIGKILL
    killed = start(folders[1])
    for process, folder in zip((unbroken, killed), folders, strict=True):
        assert process.wait(timeout=300) == 0, (folder / "log.txt").read_text()[-3000:]
    assert programs.newest_step(folders[1]) == 60
    programs.assert_same_end(folders[1], folders[0])


BAD_INPUTS = {
    "unknown data": (["data=digit"], "data must be markov, digits, tfds:NAME or folder:PATH; given: 'digit'"),
    "missing path": (["data=folder:nowhere"], "nowhere"),
    "patch that fits no stride": (["patch_size=5"], "patch_size must be a multiple or a divisor of the stride 8"),
    "patch that fits no picture": (["patch_size=16"], "image_size must be divisible by units of 16 pixels"),
    "size that fits no stride": (["image_size=17x24"], "image_size must be divisible by the stride 8 of resnet"),
    "one unit": (["image_size=8"], "and hold at least two of these; given: (8, 8)"),
    "no patch": (["patch_size=0"], "patch_size must be at least 1; given: 0"),
    "unknown target": (["target=tokens"], "target must be one of colors, pixels; given: 'tokens'"),
    "mask rate": (["mask_rate=0"], "mask_rate must be greater than 0 and at most 1; given: 0.0"),
    "no neighbours": (["neighbours=0"], "neighbours must be at least 1; given: 0"),
    "export": (["export=true"], "export must be false for masked pictures; export a classifier"),
    "probe of a chain": (["neighbours=5"], "neighbours must be 20 for data=markov, which has no labels"),
    "small patches of a chain": (["patch_size=1"], "patch_size must be at least 2 for data=markov where units"),
    "cut chain": (["crop=0.9"], "crop must be 1 for pictures of a Markov chain; given: 0.9"),
    "mirrored chain": (["flip=true"], "flip must be false for data=markov"),
    "split of a chain": (["eval_split=test"], "eval_split must be none for data=markov"),
    "backbone of texts": (["backbone=bert_tiny"], "given: 'bert_tiny', which reads texts"),
    "unknown backbone": (["backbone=resnet19"], "nearest: resnet1"),
    "unknown argument": (["backbone_arguments.depth=3"], "takes no argument depth"),
    "batch too large": (["batch_size=999"], "batch_size must lie in 1..128"),
    "batch of replicas": (["strategy=mirrored", "batch_size=13"], "given: 13; nearest: 12"),
    "unknown key": (["masking_rate=0.1"], "recipe has no key 'masking_rate'; nearest: mask_rate"),
    "no checkpoint": (["initial_weights=none.keras"], "none.keras"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_ends_with_exit_code_2_and_one_line(name, work, capsys):
    arguments, sentence = BAD_INPUTS[name]
    assert run("resnet", *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1, error
    assert list(work.iterdir()) == []  # no run folder is left behind


def test_weights_of_another_backbone_are_refused(work, capsys):
    mt.create_backbone(
        "mlp_mixer", (16, 24, 3), patch_size=8, num_blocks=1, hidden_dim=10, tokens_mlp_dim=7, channels_mlp_dim=14
    ).save("mixer.keras")
    assert run("resnet", "initial_weights=mixer.keras") == 2
    error = capsys.readouterr().err
    assert "looks like mlp_mixer" in error
    assert error.count("\n") == 1
