"""Training detectors, from the command line to the files that they leave, and every bad input that is refused."""

import functools
import json
import math
import random
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.scenes import open_scenes
from mixer_tf.heads.detector import Detector
from tests.tasks import programs
from tests.tasks.coco_folder import write_coco

SGD = ["optimizer=sgd", "learning_rate=0.01", "clip_norm=1.0"]  # Adam makes much of differences that are only rounding
FEW = [*SGD, "image_size=48x64", "batch_size=4", "epochs=2", "head_width=16", "output_dir=run", "scale_jitter=none"]
SMALL = {  # of the shipped recipe: sizes that are quick
    "resnet": ["stage_depths=(1, 1, 1, 1)", "stage_widths=(6, 7, 8, 9)", "stem_dim=5"],
    "raft_mlp": ["stage_depths=(1, 1, 1, 1)", "stage_widths=(8, 10, 12, 14)"],
    "mlp_mixer": ["num_blocks=1", "hidden_dim=10", "tokens_mlp_dim=7", "channels_mlp_dim=14"],
    "vit": ["num_blocks=1", "hidden_dim=12", "num_heads=3", "mlp_dim=20"],
}
FINISHED = ["data=coco:data", "ema=0.9", "synchronized_norm=true", "flip=true", "mosaic=0.3"]


def small(backbone):
    """The overrides of a small form of a shipped recipe."""
    return [*FEW, *(f"backbone_arguments.{argument}" for argument in SMALL[backbone])]


def run(backbone, *arguments):
    """The program in this process, on the small form of a shipped recipe; its exit code."""
    recipe = programs.shipped(f"scenes_{backbone}")
    return programs.run("object_detection", recipe, *small(backbone), *arguments)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A folder with a data set in COCO's format."""
    return write_coco(tmp_path_factory.mktemp("coco") / "data")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, coco):
    """A folder in which one short run on that data was made, and what it printed."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "data").symlink_to(coco)
    with programs.working_in(folder):
        assert run("resnet", *FINISHED, "export=true") == 0
    return folder


@pytest.fixture
def few_scenes(monkeypatch):
    """Fewer and smaller scenes than there are."""
    few = functools.partial(open_scenes, train_size=12, eval_size=5, image_size=64)
    monkeypatch.setattr("mixer_tf.data.sources.open_scenes", few)


def test_run_leaves_everything_that_it_promises(finished):
    names = {path.name for path in (finished / "run").iterdir()}
    assert names >= {"recipe.json", "history.csv", "metrics.json", "model.keras", "model_ema.keras", "checkpoints"}
    assert names >= {"classes.json", "ap_per_class.csv", "confusion_matrix.csv", "confusion_matrix.png"}
    assert names >= {"precision_recall.png", "f1_scores.png", "learning_curves.png", "detections.png"}
    figures = programs.metrics(finished / "run")
    assert figures.keys() >= {f"{ema}{name}" for ema in ("", "ema_") for name in ("AP", "AP50", "AP75", "APs", "AR100")}
    assert figures.keys() >= {"parameters", "train_seconds", "skipped_images"}
    assert all(type(value) in (int, float) and math.isfinite(value) for value in figures.values())
    assert (figures["steps"], figures["train_examples"], figures["evaluation_examples"]) == (10, 20, 6)
    assert (finished / "saved_models" / "run" / "1" / "saved_model.pb").is_file()


def test_every_object_that_is_left_out_is_counted_by_its_reason(finished):
    figures = programs.metrics(finished / "run")
    dropped = {name: value for name, value in figures.items() if name.startswith("dropped_") and value}
    assert dropped == {"dropped_zero_area": 1, "dropped_outside": 1, "dropped_crowd": 1, "dropped_unknown_class": 1}


def test_every_epoch_has_its_precision(finished):
    header = (finished / "run" / "history.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "val_loss", "val_AP", "val_AP50", "val_ema_loss"} <= set(header)


def test_finished_run_finds_objects_in_pictures_of_all_sizes(finished, work, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    before = (finished / "run" / "model.keras").stat().st_mtime_ns
    assert run("resnet", *FINISHED, "export=true", "predict=data/val2017") == 0
    assert "6 pictures with boxes, and results.json" in capsys.readouterr().out
    folder = finished / "run" / "predictions"
    images = {image["id"]: image for image in json.loads((folder / "images.json").read_text())}
    truth = json.loads((finished / "data" / "annotations" / "instances_val2017.json").read_text())["images"]
    assert {image["id"]: (image["height"], image["width"]) for image in truth} == {
        i: (image["height"], image["width"]) for i, image in images.items()
    }
    assert len(list(folder.glob("*.png"))) == 6
    for result in json.loads((folder / "results.json").read_text()):
        x, y, width, height = result["bbox"]
        image = images[result["image_id"]]
        assert min(x, y, width, height) >= 0
        assert x + width <= image["width"] + 1e-3
        assert y + height <= image["height"] + 1e-3
        assert result["category_id"] in (3, 90)
    assert (finished / "run" / "model.keras").stat().st_mtime_ns == before


def test_broken_pictures_are_left_out_and_named(finished, work, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    (work / "mine").mkdir()
    good = np.zeros((30, 70, 3), "uint8")
    (work / "mine" / "good.jpg").write_bytes(tf.io.encode_jpeg(good).numpy())
    (work / "mine" / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert run("resnet", *FINISHED, "export=true", f"predict={work / 'mine'}") == 0
    printed = capsys.readouterr()
    assert "skipped the broken picture" in printed.out + printed.err
    assert (finished / "run" / "predictions" / "good.jpg.png").is_file()
    (work / "empty").mkdir()
    assert run("resnet", *FINISHED, "export=true", f"predict={work / 'empty'}") == 2
    assert "there must be a picture" in capsys.readouterr().err


def test_export_answers_as_predict_does(finished, coco):
    model = keras.saving.load_model(finished / "run" / "model_ema.keras")
    model.score_threshold = 0.3
    served = tf.saved_model.load(finished / "saved_models" / "run" / "1").signatures["serving_default"]
    paths = sorted((coco / "val2017").iterdir())[:3]
    answers = served(image_bytes=tf.constant([path.read_bytes() for path in paths]))
    images = [tf.io.decode_png(path.read_bytes(), channels=3) for path in paths]
    expected = model.predict(tf.stack([model.preprocessing(image) for image in images]), verbose=0)
    np.testing.assert_array_equal(answers["num_detections"], expected["num_detections"])
    np.testing.assert_allclose(answers["scores"], expected["scores"], atol=1e-4)


@pytest.mark.parametrize("backbone", ["raft_mlp", "mlp_mixer", "vit"])
def test_backbones_of_every_kind_train(work, few_scenes, eager, backbone):
    assert run(backbone, "image_size=64", "steps=2", "export=false") == 0
    assert math.isfinite(programs.metrics("run")["AP"])


def test_replicas_and_micro_batches_train_as_one_replica_does(work, few_scenes):
    arguments = ["image_size=64", "steps=4", "epochs=9", "export=false"]
    for name, *more in (("one",), ("two", "strategy=mirrored", "accumulate_steps=2")):
        assert run("mlp_mixer", *arguments, f"output_dir={name}", *more) == 0
    programs.assert_as_one_replica(work / "one", work / "two")


def test_mixed_bfloat16(work, few_scenes, eager):
    assert run("resnet", "image_size=64", "steps=2", "precision=mixed_bfloat16", "export=false") == 0
    assert math.isfinite(programs.metrics("run")["AP"])


def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path, coco):
    arguments = [*small("resnet"), f"data=coco:{coco}", "steps=12", "epochs=9", "checkpoint_every=1", "mixup=0.4"]
    arguments += ["export=false", "scale_jitter=(0.6, 1.6)", "evaluate_every=4"]
    folders = [tmp_path / name for name in ("unbroken", "killed")]
    for folder in folders:
        folder.mkdir()

    def started(folder):
        return programs.start(folder, "object_detection", programs.shipped("scenes_resnet"), *arguments)

    process = started(folders[1])
    programs.wait_for_steps(folders[1], process, random.Random(time.time_ns()).randrange(2, 7))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    for folder in folders:
        assert started(folder).wait(timeout=300) == 0, (folder / "log.txt").read_text()[-3000:]
    programs.assert_same_end(folders[1], folders[0])


def test_a_pretrained_backbone_is_taken_without_its_head(work, few_scenes, eager, capsys):
    arguments = {"stage_depths": (1, 1, 1, 1), "stage_widths": (6, 7, 8, 9), "stem_dim": 5}
    mt.masked_image_model(mt.create_backbone("resnet18", (64, 64, 3), **arguments)).save("masked.keras")
    assert run("resnet", "initial_weights=masked.keras", "steps=1", "image_size=64", "export=false") == 0
    assert "masked.keras" in capsys.readouterr().out


def test_a_detector_of_other_classes_is_refused_or_taken_without_its_scores(finished, work, few_scenes, eager, capsys):
    start = [f"initial_weights={finished / 'run' / 'model.keras'}", "image_size=48x64", "steps=1", "export=false"]
    assert run("resnet", *start) == 2
    error = capsys.readouterr().err
    assert "skip_head" in error
    assert error.count("\n") == 1
    assert run("resnet", *start, "skip_head=true") == 0


def test_a_stored_model_is_a_detector(finished):
    assert isinstance(keras.saving.load_model(finished / "run" / "model.keras"), Detector)


BAD_INPUTS = [
    (["image_size=16"], "image_size must be at least 32x32 for the pyramid on resnet"),
    (["data=nothing"], "data must be scenes, coco:FOLDER"),
    (["data=coco:nowhere"], "nowhere"),
    (["head=other"], "head must be one of anchor_free, retinanet; given: 'other'"),
    (["head_width=40"], "width must be a multiple of 16; given: 40"),
    (["crop=0.9"], "crop must be none for object detection"),
    (["predict=nowhere.jpg"], "predict must be a picture or a folder of pictures; given: nowhere.jpg"),
    (["iou_threshold=1.5"], "iou_threshold must lie in 0..1; given: 1.5"),
    (["scale_jitter=(2, 1)"], "scale_jitter must be (smallest, largest)"),
    (["mosaic=2"], "mosaic must lie in 0..1"),
    (["max_objects=0"], "max_objects must be at least 1"),
    (["batch_size=400"], "batch_size must lie in 1..12"),
    (["backbone=bert_base"], ""),
    (["epochs=0"], "epochs must be at least 1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUTS, ids=lambda value: str(value)[:40])
def test_bad_input_ends_with_one_line(work, few_scenes, capsys, arguments, message):
    assert run("resnet", "image_size=64", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (work / "run" / "checkpoints").exists()


def test_an_annotation_file_that_is_not_cocos_ends_with_one_line(work, capsys):
    (work / "other.json").write_text('{"pictures": []}')
    (work / "pictures").mkdir()
    assert run("resnet", "data=coco:other.json:pictures") == 2
    error = capsys.readouterr().err
    assert "other.json" in error
    assert error.count("\n") == 1


def test_missing_pictures_are_named_five_at_most(work, eager, capsys):
    root = write_coco(work / "data", train=12, held_out=3)
    for path in sorted((root / "train2017").iterdir())[:7]:
        path.unlink()
    assert run("resnet", "data=coco:data") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.count(".png") == 5
    assert "7" in error
    assert run("resnet", "data=coco:data", "skip_broken=true", "steps=1", "export=false") == 0
    assert programs.metrics("run")["skipped_images"] == 7


def test_the_head_of_keras_cv_trains_in_the_same_program(work, few_scenes, eager):
    pytest.importorskip("keras_cv")
    head = ["head=retinanet", "head_width=256", "head_convs=2", "anchor_scale=2"]
    assert run("resnet", *head, "image_size=64", "steps=1", "export=false") == 0
    assert math.isfinite(programs.metrics("run")["AP"])


def test_settings_of_the_other_head_are_refused(work, capsys):
    assert run("resnet", "head=retinanet") == 2
    assert "head_width must be 256 for head=retinanet" in capsys.readouterr().err
    assert run("resnet", "anchor_scale=2") == 2
    assert "anchor_scale must be 4.0 for head=anchor_free" in capsys.readouterr().err
