import csv
import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.training.callbacks import HistoryFile
from mixer_tf.training.checkpoints import Progress
from mixer_tf.training.fit import fit
from tests.training.drifting import BATCH_SIZE, compiled, history_until_it_gets_worse, metrics, pictures
from tests.training.test_equality import two_worker_configs

AP = [0.7, 0.4, 0.1, 0.0]  # of the thresholds .5, .55 ... .95 the overlap exceeds 7, then 4, 1 and none


def train(epochs, *callbacks):
    model = compiled()
    arguments = {"steps_per_epoch": 2, "epochs": epochs, "callbacks": list(callbacks), "verbose": 0, "shuffle": False}
    return model, model.fit(pictures(start_step=0), **arguments).history


def test_figures_of_every_epoch_are_in_the_history():
    _, history = train(4, metrics())
    assert history["val_AP"] == pytest.approx(AP)
    assert history["val_AP50"] == pytest.approx([1, 1, 1, 0])
    assert history["val_AP75"] == pytest.approx([1, 0, 0, 0])
    assert history["val_APm"] == pytest.approx(AP)
    figures = {"AP", "AP50", "AP75", "APm", "AR1", "AR10", "AR100", "ARm"}  # no object is small or large
    assert set(history) == {"loss", *(f"val_{name}" for name in figures)}


def test_early_stopping_and_model_checkpoint_see_them(tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="val_AP", mode="max", patience=1)
    path = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(path, monitor="val_AP", mode="max", save_best_only=True)
    model, history = train(9, metrics(), stop, keep)
    assert len(history["val_AP"]) == 2
    drifts = [float(network.weights[-1].numpy()[0]) for network in (keras.models.load_model(path), model)]
    assert drifts == pytest.approx([0.04, 0.08])


def test_evaluation_comes_as_often_as_asked_for():
    assert train(4, metrics(every=2))[1]["val_AP"] == pytest.approx([AP[1], AP[3]])


def test_graph_of_predictions_is_built_once():
    callback = metrics()
    train(3, callback)
    assert callback.predict.experimental_get_tracing_count() <= 2  # whole batches, and a last one of any size


def test_boxes_are_compared_in_the_original_picture():
    shares = []

    def to_original(boxes, truth):
        shares.append(truth["image_id"])
        return boxes - np.array([0, 0.04, 0, 0.04], np.float32)  # what the first epoch drifts

    _, history = train(1, metrics(to_original=to_original))
    assert history["val_AP"] == pytest.approx([1.0])
    assert shares == [11, 12, 13, 14, 15]


def test_run_writes_them_into_its_history_file(tmp_path):
    model = compiled()
    folder = tmp_path / "run"
    folder.mkdir()
    arguments = {"batch_size": BATCH_SIZE, "steps": 4, "epoch_steps": 2, "folder": folder}
    fit(model, pictures, pictures, callbacks=[metrics()], **arguments)
    rows = list(csv.DictReader((folder / "history.csv").open()))
    assert [float(row["val_AP"]) for row in rows] == pytest.approx(AP[:2])


def test_history_file_of_another_cycle_has_a_gap_where_nothing_was_evaluated(tmp_path):
    train(2, metrics(every=2), HistoryFile(tmp_path / "history.csv", Progress()))
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert rows[0]["val_AP"] == ""
    assert float(rows[1]["val_AP"]) == pytest.approx(AP[1])


def test_two_replicas_have_the_figures_of_one(strategy):
    one, two = (history_until_it_gets_worse(each) for each in (tf.distribute.get_strategy(), strategy))
    assert one["val_AP"] == pytest.approx(AP[:3])
    assert two["val_AP"] == one["val_AP"]


def test_two_processes_have_the_figures_of_the_chief_and_stop_together(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.drifting", tmp_path / f"{index}.json"],
            env={**os.environ, "TF_CONFIG": config},
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"{index}.log").open("w"),
        )
        for index, config in enumerate(two_worker_configs())
    ]
    for index, process in enumerate(processes):
        assert process.wait(timeout=300) == 0, (tmp_path / f"{index}.log").read_text()[-3000:]
    chief, other = (json.loads((tmp_path / f"{index}.json").read_text()) for index in range(2))
    assert chief["val_AP"] == pytest.approx(AP[:3])
    assert other["val_AP"] == chief["val_AP"]


def test_what_is_missing_or_wrong_shows_before_the_training(monkeypatch):
    with pytest.raises(ValueError, match="every must be 1 or more epochs; given: 0"):
        metrics(every=0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "mixer-tf\[detection\]"'):
        metrics()
