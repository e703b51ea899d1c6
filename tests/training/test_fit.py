"""`fit` that goes on: wherever it is broken off, the end is the same to the bit."""

import csv
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.keras_fixes import Model
from mixer_tf.training.checkpoints import complete_checkpoints, state_of
from mixer_tf.training.fit import fit
from mixer_tf.training.optimizers import create_optimizer

EPOCH_STEPS, STEPS, BATCH_SIZE = 5, 13, 8  # two epochs and a part of a third
TIMES = {"train_seconds", "train_examples_per_second"}


def batches(*, start_step=0):
    """Other examples in every step, made from the number of the step alone."""

    def batch(step):
        x = tf.random.stateless_normal((BATCH_SIZE, 6), seed=tf.stack([step, 1]))
        return x, tf.cast(tf.argmax(x[:, :3], axis=1), tf.int32)

    return tf.data.Dataset.range(start_step, 10**6).map(batch)


def validation():
    return batches().take(2)


def compiled(**arguments):
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input((6,))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(7, activation="gelu", name="fc1")(x))
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    model = Model(inputs, keras.layers.Dense(3, name="head")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(create_optimizer("adamw", learning_rate=0.05, ema=0.9), loss, metrics=["accuracy"], **arguments)
    return model


class BreakOff(keras.callbacks.Callback):
    """What a crash, or a machine that is taken away, does at a step: it stands before the checkpoint is written."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self.step:
            self.action()


def run(folder, callback=None, **arguments):
    options = {"batch_size": BATCH_SIZE, "steps": STEPS, "epoch_steps": EPOCH_STEPS, "checkpoint_every": 1}
    model = arguments.pop("model", None) or compiled()
    progress = fit(
        model,
        batches,
        validation,
        folder=folder,
        evaluate_average=True,
        callbacks=[callback] if callback else [],
        **(options | arguments),
    )
    return state_of(model), progress


def figures(progress):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in progress.history]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(tmp_path_factory.mktemp("unbroken"))


def assert_same(result, expected):
    (state, progress), (expected_state, expected_progress) = result, expected
    assert figures(progress) == figures(expected_progress)
    assert progress.step == STEPS
    for name, values in expected_state.items():
        np.testing.assert_array_equal(state[name], values, err_msg=name)


def crash():
    raise RuntimeError("crash")


# In the first step, in the middle, in the last step of an epoch, in the first one after it, and in the last part.
@pytest.mark.parametrize("step", [1, 3, 5, 6, 10, 12])
@pytest.mark.parametrize("every", [1, 4])
def test_broken_off_anywhere_it_ends_as_if_nothing_had_happened(step, every, tmp_path, unbroken):
    with pytest.raises(RuntimeError, match="crash"):
        run(tmp_path, BreakOff(step, crash), checkpoint_every=every)
    assert_same(run(tmp_path, checkpoint_every=every), unbroken)


def test_sigterm_saves_the_step_and_exits_with_143(tmp_path, unbroken):
    for step in (4, 5):  # in the middle and at the end of an epoch
        with pytest.raises(SystemExit) as stop:
            run(tmp_path, BreakOff(step, lambda: os.kill(os.getpid(), signal.SIGTERM)), checkpoint_every="1000s")
        assert stop.value.code == 143
        assert complete_checkpoints(tmp_path / "checkpoints")[0].name == f"step-{step:08d}"
    assert_same(run(tmp_path), unbroken)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_finished_run_is_not_trained_again(tmp_path, unbroken):
    run(tmp_path)
    assert_same(run(tmp_path, BreakOff(STEPS, crash)), unbroken)


def test_two_checkpoints_are_kept_and_the_last_is_the_end(tmp_path):
    run(tmp_path, checkpoint_every=4)
    names = [path.name for path in complete_checkpoints(tmp_path / "checkpoints")]
    assert names == ["step-00000013", "step-00000012"]


def test_history_file_has_a_line_for_each_epoch_with_all_figures(tmp_path):
    _, progress = run(tmp_path)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert {"loss", "val_accuracy", "val_ema_accuracy", "train_seconds"} <= rows[0].keys()
    assert float(rows[2]["loss"]) == progress.history[2]["loss"]
    assert [float(row["train_seconds"]) for row in rows] == sorted(float(row["train_seconds"]) for row in rows)


def test_evaluation_comes_as_often_as_asked_for_also_after_a_crash(tmp_path):
    with pytest.raises(RuntimeError, match="crash"):
        run(tmp_path, BreakOff(7, crash), evaluate_every=2)
    _, progress = run(tmp_path, evaluate_every=2)
    evaluated = [{"val_loss", "val_ema_loss"} & row.keys() for row in progress.history]
    assert evaluated == [set(), {"val_loss", "val_ema_loss"}, set()]


def test_several_steps_at_once_end_where_single_steps_do(tmp_path):
    single, several = (
        run(tmp_path / str(number), model=compiled(steps_per_execution=number), steps=12, epoch_steps=6)
        for number in (1, 3)
    )
    for name, values in single[0].items():
        if not name.startswith("metrics"):
            np.testing.assert_allclose(several[0][name], values, atol=1e-6, err_msg=name)
    assert several[1].step == 12


def test_steps_at_once_must_fit_into_an_epoch(tmp_path):
    with pytest.raises(ValueError, match="must divide the 5 steps of an epoch and the 13 of the run; given: 3"):
        run(tmp_path, model=compiled(steps_per_execution=3))
