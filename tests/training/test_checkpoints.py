"""Checkpoints appear at once or not at all, and hold everything that the next step depends on."""

import errno
import json
import os
import shutil

import keras
import numpy as np
import pytest

from mixer_tf.training import checkpoints
from mixer_tf.training.checkpoints import (
    Progress,
    complete_checkpoints,
    read_checkpoint,
    remove_unfinished,
    restore,
    state_of,
    write_checkpoint,
)
from mixer_tf.training.optimizers import create_optimizer

STATE = {"model/0/kernel": np.arange(6.0).reshape(2, 3)}


def write(folder, step, keep=3):
    write_checkpoint(
        folder, {"model/0/kernel": STATE["model/0/kernel"] + step}, Progress(step, [{"loss": 0.1}], 2.5), keep
    )


def steps(folder):
    return [path.name for path in complete_checkpoints(folder)]


def test_newest_comes_back_as_it_was(tmp_path):
    for step in (5, 12, 100_000_000):
        write(tmp_path, step)
    state, progress = read_checkpoint(tmp_path)
    np.testing.assert_array_equal(state["model/0/kernel"], STATE["model/0/kernel"] + 100_000_000)
    assert progress == Progress(100_000_000, [{"loss": 0.1}], 2.5)
    assert read_checkpoint(tmp_path / "none") is None


def test_the_last_ones_are_kept(tmp_path):
    for step in range(1, 6):
        write(tmp_path, step, keep=2)
    assert steps(tmp_path) == ["step-00000005", "step-00000004"]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_crash_left_is_never_taken_and_is_removed(tmp_path):
    write(tmp_path, 3)
    shutil.copytree(tmp_path / "step-00000003", tmp_path / ".writing-9")
    shutil.copytree(tmp_path / "step-00000003", tmp_path / ".removing-step-00000002")
    assert read_checkpoint(tmp_path)[1].step == 3
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


@pytest.mark.parametrize("name", ["state.npz", "progress.json"])
def test_a_file_that_the_disk_spoilt_leaves_the_one_before(tmp_path, name, caplog):
    for step in (3, 4):
        write(tmp_path, step)
    path = tmp_path / "step-00000004" / name
    path.write_bytes(path.read_bytes()[:-20])
    assert read_checkpoint(tmp_path)[1].step == 3
    assert "step-00000004 cannot be read and is left aside" in caplog.text


def test_full_disk_ends_with_a_sentence_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    write(tmp_path, 3)

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(ValueError, match=r"No space left on device; make room .* goes on from step-00000003"):
        write(tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_folder_that_cannot_be_written_ends_with_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"given: .*file: Not a directory; .* goes on from its beginning"):
        write(tmp_path / "file", 4)


def model(units=4):
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.BatchNormalization()])
    network.add(keras.layers.Dropout(0.5))
    network.compile(create_optimizer("adamw", learning_rate=0.1, ema=0.9), "mse", metrics=["mae"])
    network.train_on_batch(np.ones((4, 3)), np.ones((4, units)))
    return network


def test_state_has_weights_statistics_averages_dropout_and_metrics():
    names = {name.partition("/")[0] + " " + name.split("/", 2)[2] for name in state_of(model())}
    assert {"model kernel", "model moving_mean", "model seed_generator_state", "optimizer iteration"} <= names
    assert "optimizer average" in names
    assert any(name.startswith("metrics") for name in names)


def test_restored_model_makes_the_same_next_step():
    first, second, x = model(), model(), np.ones((4, 3))
    for _ in range(2):
        first.train_on_batch(x, x[:, :1])
    restore(second, state_of(first), ("model", "optimizer", "metrics"))
    for network in (first, second):
        network.train_on_batch(x, x[:, :1])
    for ours, expected in zip(state_of(second).values(), state_of(first).values(), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_only_the_wanted_groups_are_restored():
    first, second = model(), model()
    first.train_on_batch(np.ones((4, 3)), np.zeros((4, 4)))
    before = state_of(second)
    restore(second, state_of(first), ("metrics",))
    for name, values in state_of(second).items():
        expected = state_of(first) if name.startswith("metrics") else before
        np.testing.assert_array_equal(values, expected[name])


def test_state_of_another_model_is_refused():
    with pytest.raises(ValueError, match="a checkpoint must be of the same model; given: another model/0/kernel"):
        restore(model(units=4), state_of(model(units=5)), ("model",))


def test_progress_is_readable_json(tmp_path):
    write(tmp_path, 7)
    assert json.loads((tmp_path / "step-00000007" / "progress.json").read_text())["step"] == 7
