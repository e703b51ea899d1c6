"""`fit` that goes on where an earlier process stopped, to the bit as if it had never stopped."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf

from mixer_tf.checks import require
from mixer_tf.keras_fixes import build_for_training
from mixer_tf.training.callbacks import (
    EvaluateAverage,
    HistoryFile,
    SaveCheckpoints,
    StopAfterStep,
    StopWhenDiverged,
    TrainingSpeed,
)
from mixer_tf.training.checkpoints import Progress, read_checkpoint, remove_unfinished, restore
from mixer_tf.training.strategy import is_chief, is_multi_worker, require_same_step


def fit(
    model: keras.Model,
    training_data: Callable[..., tf.data.Dataset],
    validation_data: Callable[..., tf.data.Dataset],
    *,
    batch_size: int,
    steps: int,
    epoch_steps: int,
    folder: Path,
    checkpoint_every: int | str = "300s",
    keep_checkpoints: int = 2,
    evaluate_every: int = 1,
    evaluate_average: bool = False,
    callbacks: list[keras.callbacks.Callback] | None = None,
) -> Progress:
    """Train a compiled model up to so many updates, from the newest checkpoint in `folder/checkpoints` where one is.

    Interrupted at any moment and called again in a new process, it makes the weights, the optimizer, the averages, the
    moving statistics and the figures of the unbroken run. SIGTERM, which a machine gets before it is taken away, writes
    one more checkpoint and ends the process with exit code 143.

    Args:
        model: a `mixer_tf.keras_fixes.Model`, compiled in the scope of its strategy.
        training_data: `training_data(start_step=k)` gives the endless batches from update k on; each of several workers
            also passes `worker` and `num_workers` for its share, as `mixer_tf.data.pipeline.train_dataset` takes them.
        validation_data: `validation_data()` gives the batches of one evaluation, likewise.
        batch_size: examples of an update, over all replicas.
        steps: number of updates of the whole run.
        epoch_steps: number of updates of an epoch.
        folder: where `checkpoints/` and `history.csv` go; all workers must see the same one.
        checkpoint_every: a number of updates, or a time in seconds such as `"300s"`.
        keep_checkpoints: number of the newest checkpoints that are kept.
        evaluate_every: number of epochs between two evaluations.
        evaluate_average: evaluate the average of the weights too, which the optimizer then keeps.
        callbacks: further ones; they see an epoch's figures before these are written.

    Returns:
        The progress at the end.

    Raises:
        ValueError: if a number lies outside its range, or a checkpoint cannot be written or is of another model.
        ConnectionError: if another worker has ended.
    """
    strategy = model.distribute_strategy
    require_whole_executions(model.steps_per_execution, epoch_steps, steps)
    build_for_training(model, training_data(start_step=0).element_spec)
    progress, metrics_state = _restored(model, folder / "checkpoints", epoch_steps)
    require_same_step(strategy, progress.step)
    saving = SaveCheckpoints(
        folder / "checkpoints",
        progress,
        epoch_steps=epoch_steps,
        every=checkpoint_every,
        keep=keep_checkpoints,
        metrics_state=metrics_state,
    )
    evaluation = share_of_batches(strategy, validation_data, batch_size)
    evaluation_steps = validation_data().cardinality().numpy() if is_multi_worker(strategy) else None
    arguments = {
        "validation_data": evaluation,
        "validation_steps": evaluation_steps,  # which a worker's share does not know
        "validation_freq": evaluate_every,
        "shuffle": False,  # the data sets shuffle by themselves
        "verbose": 1 if is_chief(strategy) else 0,
        "callbacks": [
            TrainingSpeed(batch_size, progress),
            *([EvaluateAverage(evaluation, evaluation_steps, evaluate_every)] if evaluate_average else []),
            *(callbacks or []),
            StopAfterStep(steps - progress.step),
            StopWhenDiverged(),
            HistoryFile(folder / "history.csv", progress, writes=is_chief(strategy)),
            saving,
        ],
    }
    with _sigterm_calls(saving.stop), _lost_workers_named(strategy):
        while progress.step < steps:
            epoch, done = divmod(progress.step, epoch_steps)
            model.fit(
                share_of_batches(strategy, training_data, batch_size, start_step=progress.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if done else math.ceil(steps / epoch_steps),  # first the rest of a broken epoch
                steps_per_epoch=epoch_steps - done,
                **arguments,
            )
    return progress


def require_whole_executions(steps_per_execution: int, epoch_steps: int, steps: int) -> None:
    """Refuse a number of updates at once that does not fit into an epoch and into the run."""
    require(
        epoch_steps % steps_per_execution == steps % steps_per_execution == 0,
        f"steps_per_execution must divide the {epoch_steps} steps of an epoch and the {steps} of the run; "
        f"given: {steps_per_execution}",
    )


def share_of_batches(
    strategy: tf.distribute.Strategy, dataset: Callable[..., tf.data.Dataset], batch_size: int, **arguments
):
    """Batches as Keras's `fit` and `evaluate` take them: each of several workers reads its own share and nothing else.

    Args:
        strategy: that of the model.
        dataset: makes the batches; of several workers, each passes `worker` and `num_workers` for its share of them.
        batch_size: examples of a batch, over all replicas.
        **arguments: what else `dataset` takes.
    """
    if not is_multi_worker(strategy):
        return dataset(**arguments)

    def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
        part = {"worker": context.input_pipeline_id, "num_workers": context.num_input_pipelines}
        return dataset(**arguments, **part).rebatch(batch_size // strategy.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(share)


def _restored(model: keras.Model, folder: Path, epoch_steps: int):
    """The progress of the newest checkpoint, its numbers in the model, and the metrics of an epoch broken off."""
    if is_chief(model.distribute_strategy):
        remove_unfinished(folder)
    found = read_checkpoint(folder)
    if found is None:
        return Progress(), None
    state, progress = found
    restore(model, state, ("model", "optimizer", "metrics"))
    return progress, state if progress.step % epoch_steps else None


@contextlib.contextmanager
def _sigterm_calls(stop: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _lost_workers_named(strategy: tf.distribute.Strategy) -> Iterator[None]:
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError) as e:
        if not is_multi_worker(strategy):
            raise
        raise ConnectionError(
            "all workers must go on until the end; given: one that has ended; start all of them again with the same "
            "command, the run goes on from its newest checkpoint"
        ) from e
