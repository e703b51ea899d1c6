import csv
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.training.callbacks import EvaluateAverage, StopAfterStep, StopWhenDiverged, TrainingSpeed
from mixer_tf.training.optimizers import averaged_weights, create_optimizer


def compiled(ema=0.9):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="head")])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(create_optimizer("adamw", learning_rate=0.1, ema=ema), loss, metrics=["accuracy"])
    return model


def data(batches=5):
    rng = np.random.default_rng(4)
    labels = np.eye(4)[rng.integers(4, size=(batches, 8))]
    return tf.data.Dataset.from_tensor_slices((rng.normal(size=(batches, 8, 3)), labels))


def test_average_is_evaluated_and_logged(tmp_path):
    model, without = compiled(), compiled()
    callbacks = [EvaluateAverage(data(2)), keras.callbacks.CSVLogger(tmp_path / "history.csv")]
    history = model.fit(data(), epochs=2, validation_data=data(2), callbacks=callbacks, verbose=0).history
    plain = without.fit(data(), epochs=2, validation_data=data(2), verbose=0).history
    assert history["loss"] == plain["loss"]
    assert history["val_loss"] == plain["val_loss"]
    with averaged_weights(model):
        metrics = model.evaluate(data(2), return_dict=True, verbose=0)
    assert history["val_ema_loss"][-1] == pytest.approx(metrics["loss"])
    assert history["val_ema_accuracy"][-1] == pytest.approx(metrics["accuracy"])
    assert history["val_ema_loss"] != history["val_loss"]
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [float(row["val_ema_loss"]) for row in rows] == pytest.approx(history["val_ema_loss"])


def test_average_needs_ema():
    with pytest.raises(ValueError, match="create it with ema above 0"):
        compiled(ema=0.0).fit(data(), callbacks=[EvaluateAverage(data(1))], verbose=0)


class Clock(keras.callbacks.Callback):
    """A clock that the steps and the evaluation move on, in place of the real one."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def on_train_batch_end(self, batch, logs=None):
        self.now += 9.0 if batch == 0 else 0.5

    def on_test_end(self, logs=None):
        self.now += 1000.0


def test_speed_leaves_out_the_first_step_and_the_evaluation(monkeypatch):
    callbacks = [Clock(monkeypatch), TrainingSpeed(batch_size=8)]
    history = compiled().fit(data(5), epochs=2, validation_data=data(1), callbacks=callbacks, verbose=0).history
    assert history["train_seconds"] == [11.0, 22.0]
    assert history["train_examples_per_second"] == [16.0, 16.0]


def test_speed_of_an_epoch_of_one_step(monkeypatch):
    callbacks = [Clock(monkeypatch), TrainingSpeed(batch_size=18)]
    history = compiled().fit(data(1), callbacks=callbacks, verbose=0).history
    assert history["train_examples_per_second"] == [2.0]


@pytest.mark.parametrize(("steps", "epochs"), [(3, [3]), (5, [5]), (7, [5, 2]), (40, [5, 5])])
def test_fit_stops_after_the_step_also_in_the_middle_of_an_epoch(steps, epochs):
    model, counts = compiled(), []

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            counts.append(batch)

    model.fit(data(), epochs=2, callbacks=[StopAfterStep(steps), Count()], verbose=0)
    assert counts == [batch for length in epochs for batch in range(length)]
    assert int(model.optimizer.iterations) == sum(epochs)


def test_a_loss_that_is_no_number_ends_the_run_with_an_error():
    model = compiled()
    model.get_layer("head").bias.assign([np.nan] * 4)
    with pytest.raises(ValueError, match="the loss must stay finite; given: nan at step 1 of the epoch"):
        model.fit(data(), callbacks=[StopWhenDiverged()], verbose=0)
