"""What the runs of all tasks share, from the seed to the figures at the end."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from mixer_tf.analysis.size import count_parameters
from mixer_tf.recipe import Recipe
from mixer_tf.training.checkpoints import Progress
from mixer_tf.training.fit import fit, require_whole_executions
from mixer_tf.training.optimizers import averaged_weights, create_optimizer
from mixer_tf.training.run_folder import create_run_folder
from mixer_tf.training.schedules import create_schedule
from mixer_tf.training.strategy import create_strategy, is_chief, require_divisible

OF_THE_DATA = {  # figures that no weights change
    *("scored_tokens", "marginal_loss", "bayes_loss", "pair_share"),
    *("copied_color_accuracy", "corpus_tokens", "replaced_bytes"),
}


def prepare(recipe: Recipe) -> tf.distribute.Strategy:
    """Set the seed, the precision and the determinism that a recipe asks for, and make its strategy.

    Raises:
        ValueError: if the machine does not have what the strategy needs, or its replicas cannot share the batch.
    """
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(recipe.precision)
    strategy = create_strategy(recipe.strategy, **recipe.select(["replicas", "tpu"]))
    require_divisible(recipe.batch_size, strategy, recipe.accumulate_steps)
    return strategy


def total_steps_of(recipe: Recipe, epoch_steps: int) -> int:
    """The number of updates of the whole run.

    Raises:
        ValueError: if `steps_per_execution` does not divide it and the steps of an epoch.
    """
    total_steps = min(recipe.epochs * epoch_steps, recipe.steps or sys.maxsize)
    require_whole_executions(recipe.steps_per_execution, epoch_steps, total_steps)
    return total_steps


def optimizer_of(recipe: Recipe, epoch_steps: int, total_steps: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer with its rules and its schedule of the learning rate."""
    schedule = create_schedule(
        recipe.schedule,
        peak=recipe.learning_rate,
        total_steps=total_steps,
        warmup_steps=min(round(recipe.warmup_epochs * epoch_steps), total_steps // 2),
        final=recipe.final_learning_rate,
        milestones=recipe.milestones and tuple(epoch * epoch_steps for epoch in recipe.milestones),
    )
    rules = recipe.select(["weight_decay", "momentum", "beta_2", "clip_norm", "ema", "layer_decay"])
    return create_optimizer(recipe.optimizer, learning_rate=schedule, **rules)


def export_folder_of(recipe: Recipe) -> Path:
    """Where the versions of a recipe's SavedModel go."""
    return Path("saved_models") / Path(recipe.output_dir).name


def open_run(recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
    """Make the folders that a run writes to, so that what cannot be written shows before the training.

    Of several workers the chief makes them.
    """
    if not is_chief(strategy):
        return
    create_run_folder(recipe)
    if recipe.export:
        export_folder_of(recipe).mkdir(parents=True, exist_ok=True)


def train(
    recipe: Recipe,
    model: keras.Model,
    training_data: Callable[..., tf.data.Dataset],
    evaluation_data: Callable[..., tf.data.Dataset],
    *,
    epoch_steps: int,
    total_steps: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Progress:
    """`fit` the model as the recipe says, from the newest checkpoint where there is one.

    Args:
        recipe: of the run.
        model: compiled in the scope of its strategy.
        training_data: as `mixer_tf.training.fit.fit` takes it.
        evaluation_data: likewise.
        epoch_steps: number of updates of an epoch.
        total_steps: number of updates of the whole run.
        callbacks: further ones; what they add to an epoch's figures is written with them.

    Returns:
        The progress at the end; its `history` has the figures of every epoch.
    """
    output = Path(recipe.output_dir)
    logs = recipe.tensorboard and is_chief(model.distribute_strategy)  # of several workers one
    return fit(
        model,
        training_data,
        evaluation_data,
        steps=total_steps,
        epoch_steps=epoch_steps,
        folder=output,
        **recipe.select(["batch_size", "checkpoint_every", "keep_checkpoints", "evaluate_every"]),
        evaluate_average=recipe.ema > 0,
        callbacks=[*callbacks, *([keras.callbacks.TensorBoard(output / "tensorboard")] if logs else [])],
    )


def figures_of(recipe: Recipe, model: keras.Model, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Evaluate the weights, and where the recipe keeps an average of them that too, as `ema_<name>`.

    Args:
        recipe: of the run.
        model: trained.
        evaluate: gives the figures of the model with the weights that it has when called.
    """
    figures = evaluate()
    if recipe.ema:
        with averaged_weights(model):
            average = evaluate()
        figures |= {f"ema_{name}": value for name, value in average.items() if name not in OF_THE_DATA}
    return figures


def final_weights(recipe: Recipe, model: keras.Model) -> contextlib.AbstractContextManager:
    """What a run hands on, for the body of a `with` statement: the averaged weights where the recipe keeps them."""
    return averaged_weights(model) if recipe.ema else contextlib.nullcontext()


def final_model_of(recipe: Recipe) -> Path:
    """The file of the weights that a run hands on."""
    return Path(recipe.output_dir) / ("model_ema.keras" if recipe.ema else "model.keras")


def save_model(recipe: Recipe, model: keras.Model) -> None:
    """Write `model.keras`, and `model_ema.keras` with the averaged weights where the recipe keeps them."""
    model.save(Path(recipe.output_dir) / "model.keras")
    with final_weights(recipe, model):
        if recipe.ema:
            model.save(final_model_of(recipe))


def run_figures(recipe: Recipe, model: keras.Model, progress: Progress, source, epoch_steps: int) -> dict[str, float]:
    """What `metrics.json` says of every run, whatever its task: size, time and amount of training.

    Args:
        recipe: of the run.
        model: trained.
        progress: that `train` returned.
        source: with the splits `train` and `evaluation`.
        epoch_steps: number of updates of an epoch.
    """
    return {
        "parameters": count_parameters(model),
        **{name: progress.history[-1][name] for name in ("train_seconds", "train_examples_per_second")},
        "epochs": math.ceil(progress.step / epoch_steps),
        "steps": progress.step,
        "seed": recipe.seed,
        "train_examples": source.train.size,
        "evaluation_examples": source.evaluation.size,
    }
