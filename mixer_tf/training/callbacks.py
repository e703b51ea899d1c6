"""What a run reports beyond the figures of Keras, what it leaves on the disk, and when it stops.

`EvaluateAverage` and `TrainingSpeed` write into the epoch's `logs`, which Keras hands from callback to callback: they
stand before `HistoryFile` and `TensorBoard` in the list, and `SaveCheckpoints` stands last.
"""

from __future__ import annotations

import csv
import math
import os
import time
from pathlib import Path

import keras
import numpy as np

from mixer_tf.training.checkpoints import Progress, restore, state_of, write_checkpoint
from mixer_tf.training.optimizers import averaged_weights
from mixer_tf.training.strategy import any_worker, is_chief


class EvaluateAverage(keras.callbacks.Callback):
    """Evaluate the average of the weights after each epoch, as `val_ema_<metric>`.

    Args:
        dataset: batches to evaluate on, e.g. the `validation_data` of `fit`.
        steps: number of batches; None takes the whole, finite data set.
        every: number of epochs between two evaluations.

    Example:
        >>> from mixer_tf.training.optimizers import create_optimizer
        >>> model.compile(create_optimizer("adamw", learning_rate=1e-3, ema=0.999), loss, metrics=["accuracy"])
        >>> callbacks = [EvaluateAverage(validation), keras.callbacks.CSVLogger("history.csv")]
        >>> history = model.fit(train, validation_data=validation, callbacks=callbacks, verbose=0).history
        >>> "val_ema_accuracy" in history
        True
    """

    def __init__(self, dataset, steps: int | None = None, every: int = 1):
        super().__init__()
        self.dataset, self.steps, self.every = dataset, steps, every

    def on_epoch_end(self, epoch, logs=None):
        """Add the average's metrics to the logs."""
        if (epoch + 1) % self.every:
            return
        with averaged_weights(self.model):
            metrics = self.model.evaluate(self.dataset, steps=self.steps, verbose=0, return_dict=True)
        logs.update({f"val_ema_{name}": value for name, value in metrics.items()})


class TrainingSpeed(keras.callbacks.Callback):
    """Report `train_seconds` and `train_examples_per_second` after each epoch.

    `train_seconds` is the time that the run has spent in training so far, without evaluation, checkpoints and other
    work between epochs. `train_examples_per_second` is the speed of the epoch without its first step (with
    `steps_per_execution`: its first execution), which builds the graph in the first epoch and waits for the input
    pipeline to fill in every epoch; an epoch of one execution counts as a whole.

    Args:
        batch_size: images per step, over all devices together.
        progress: of the run that this `fit` goes on with; its time goes on, too.

    Example:
        >>> history = model.fit(train, callbacks=[TrainingSpeed(batch_size=8)], verbose=0).history
        >>> history["train_examples_per_second"][-1] > 0
        True
    """

    def __init__(self, batch_size: int, progress: Progress | None = None):
        super().__init__()
        self.batch_size = batch_size
        self.progress = progress or Progress()

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock of the epoch."""
        self.before = self.progress.train_seconds
        self.marks = [(0, time.perf_counter())]  # (steps done, time)

    def on_train_batch_end(self, batch, logs=None):
        """Note how many steps are done, and when."""
        self.marks.append((batch + 1, time.perf_counter()))
        self.progress.train_seconds = self.before + self.marks[-1][1] - self.marks[0][1]

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures to the logs."""
        start, last = self.marks[0], self.marks[-1]
        since = self.marks[1] if len(self.marks) > 2 else start
        logs["train_seconds"] = self.progress.train_seconds
        logs["train_examples_per_second"] = self.batch_size * (last[0] - since[0]) / (last[1] - since[1])


class StopAfterStep(keras.callbacks.Callback):
    """End `fit` after so many updates from now on, also in the middle of an epoch.

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

    def on_epoch_begin(self, epoch, logs=None):
        """Note how many updates there were before the epoch."""
        self.before = self.done

    def on_train_batch_end(self, batch, logs=None):
        """Count the updates, of which an execution may make several, and stop at the last."""
        self.done = self.before + batch + 1
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


class HistoryFile(keras.callbacks.Callback):
    """Write the figures of all epochs to a CSV file, whole after each epoch, so that no crash leaves half a line.

    Args:
        path: the file.
        progress: its `history` gets the figures; those of earlier processes are in it.
        writes: whether this process writes the file; of several workers only the chief does.

    Example:
        >>> progress = Progress()
        >>> history = model.fit(train, callbacks=[HistoryFile(Path("history.csv"), progress)], verbose=0)
        >>> Path("history.csv").read_text().splitlines()[0]
        'epoch,accuracy,loss'
    """

    def __init__(self, path: Path, progress: Progress, writes: bool = True):
        super().__init__()
        self.path, self.progress, self.writes = path, progress, writes

    def on_epoch_end(self, epoch, logs=None):
        """Add a line."""
        self.progress.history.append({"epoch": epoch, **{name: float(value) for name, value in sorted(logs.items())}})
        if not self.writes:
            return
        aside = self.path.with_name(f".{self.path.name}")
        with aside.open("w", newline="", encoding="utf-8") as file:
            rows = self.progress.history
            table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            table.writeheader()
            table.writerows(rows)
        os.replace(aside, self.path)


class SaveCheckpoints(keras.callbacks.Callback):
    """Write a checkpoint now and then, and one more at the end and when the process is asked to stop.

    Between two epochs it lies behind everything that the epoch did, the evaluation and the history included.

    Args:
        folder: where the checkpoints go.
        progress: how far the run is; this callback counts its steps.
        epoch_steps: number of updates of an epoch.
        every: a number of updates, or a time such as `"300s"`.
        keep: number of the newest checkpoints that are kept.
        metrics_state: what `restore` takes, to go on with the metrics of an epoch that was broken off.

    Raises:
        ValueError: when a checkpoint cannot be written.
        SystemExit: with code 143, at the first step after `stop` was called, when the checkpoint is written.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        *,
        epoch_steps: int,
        every: int | str,
        keep: int = 2,
        metrics_state: dict[str, np.ndarray] | None = None,
    ):
        super().__init__()
        self.folder, self.progress, self.epoch_steps, self.keep = folder, progress, epoch_steps, keep
        self.every = every if isinstance(every, int) else float(every.removesuffix("s"))
        self.metrics_state = metrics_state
        self.saved_step, self.saved_time, self.stopping = progress.step, time.monotonic(), False

    def stop(self) -> None:
        """End the process after the current step; a signal handler may call this."""
        self.stopping = True

    def on_epoch_begin(self, epoch, logs=None):
        """Keras has reset the metrics: those of the part of the epoch that an earlier process made come back."""
        self.before = self.progress.step
        if self.metrics_state is not None:
            restore(self.model, self.metrics_state, ("metrics",))
            self.metrics_state = None

    def on_train_batch_end(self, batch, logs=None):
        """Count, and save when it is time; at the last step of an epoch its end does that."""
        self.progress.step = self.before + batch + 1
        if self.progress.step % self.epoch_steps and not self.model.stop_training:
            self._save_or_stop(self._is_due())

    def on_epoch_end(self, epoch, logs=None):
        """Save when it is time."""
        self._save_or_stop(self._is_due() or self.model.stop_training)

    def on_train_end(self, logs=None):
        """Save the end."""
        self._save_or_stop(True)

    def _is_due(self) -> bool:
        if isinstance(self.every, int):
            return self.progress.step // self.every > self.saved_step // self.every
        return time.monotonic() - self.saved_time >= self.every

    def _save_or_stop(self, due: bool) -> None:
        """Save on all workers when it is time on one of them: what a worker saves needs the others."""
        strategy = self.model.distribute_strategy
        due, stopping = any_worker(strategy, due, self.stopping)
        if (due or stopping) and self.progress.step > self.saved_step:
            state = state_of(self.model)
            if is_chief(strategy):
                write_checkpoint(self.folder, state, self.progress, self.keep)
            self.saved_step, self.saved_time = self.progress.step, time.monotonic()
        if stopping:
            raise SystemExit(143)  # 128 + SIGTERM
