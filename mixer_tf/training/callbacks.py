"""What a run reports beyond the figures of Keras (the averaged weights' metrics, the speed), and when it stops.

The first two write into the epoch's `logs`, which Keras hands from callback to callback: put them in front of
`CSVLogger` and `TensorBoard` in the list.
"""

from __future__ import annotations

import math
import time

import keras

from mixer_tf.training.optimizers import averaged_weights


class EvaluateAverage(keras.callbacks.Callback):
    """Evaluate the average of the weights after each epoch, as `val_ema_<metric>`.

    Args:
        dataset: batches to evaluate on, e.g. the `validation_data` of `fit`.
        steps: number of batches; None takes the whole, finite data set.

    Example:
        >>> from mixer_tf.training.optimizers import create_optimizer
        >>> model.compile(create_optimizer("adamw", learning_rate=1e-3, ema=0.999), loss, metrics=["accuracy"])
        >>> callbacks = [EvaluateAverage(validation), keras.callbacks.CSVLogger("history.csv")]
        >>> history = model.fit(train, validation_data=validation, callbacks=callbacks, verbose=0).history
        >>> "val_ema_accuracy" in history
        True
    """

    def __init__(self, dataset, steps: int | None = None):
        super().__init__()
        self.dataset, self.steps = dataset, steps

    def on_epoch_end(self, epoch, logs=None):
        """Add the average's metrics to the logs."""
        with averaged_weights(self.model):
            metrics = self.model.evaluate(self.dataset, steps=self.steps, verbose=0, return_dict=True)
        logs.update({f"val_ema_{name}": value for name, value in metrics.items()})


class TrainingSpeed(keras.callbacks.Callback):
    """Report `train_seconds` and `train_images_per_second` after each epoch.

    `train_seconds` is the time that this `fit` has spent in training so far, without evaluation, checkpoints and other
    work between epochs. `train_images_per_second` is the speed of the epoch without its first step (with
    `steps_per_execution`: its first execution), which builds the graph in the first epoch and waits for the input
    pipeline to fill in every epoch; an epoch of one execution counts as a whole.

    Args:
        batch_size: images per step, over all devices together.

    Example:
        >>> history = model.fit(train, callbacks=[TrainingSpeed(batch_size=8)], verbose=0).history
        >>> history["train_images_per_second"][-1] > 0
        True
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size

    def on_train_begin(self, logs=None):
        """Start to count."""
        self.train_seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock of the epoch."""
        self.marks = [(0, time.perf_counter())]  # (steps done, time)

    def on_train_batch_end(self, batch, logs=None):
        """Note how many steps are done, and when."""
        self.marks.append((batch + 1, time.perf_counter()))

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures to the logs."""
        start, last = self.marks[0], self.marks[-1]
        self.train_seconds += last[1] - start[1]
        since = self.marks[1] if len(self.marks) > 2 else start
        self.images_per_second = self.batch_size * (last[0] - since[0]) / (last[1] - since[1])
        logs["train_seconds"] = self.train_seconds
        logs["train_images_per_second"] = self.images_per_second


class StopAfterStep(keras.callbacks.Callback):
    """End `fit` after so many updates of this call, also in the middle of an epoch.

    Args:
        steps: number of updates, at least 1.

    Example:
        >>> history = model.fit(train, epochs=100, callbacks=[StopAfterStep(3)], verbose=0)
        >>> history.epoch
        [0]
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.done = steps, 0

    def on_train_batch_end(self, batch, logs=None):
        """Count the updates, and stop at the last."""
        self.done += 1
        if self.done >= self.steps:
            self.model.stop_training = True


class StopWhenDiverged(keras.callbacks.Callback):
    """End the run with an error at the first update whose loss is no number any more.

    Keras's `TerminateOnNaN` only stops `fit`: evaluation and export would go on with weights that are lost.

    Raises:
        ValueError: when the loss of an update, averaged over the epoch so far, is NaN or infinite.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Look at the loss."""
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"the loss must stay finite; given: {logs['loss']} at step {batch + 1} of the epoch; "
                "lower learning_rate or set clip_norm"
            )
