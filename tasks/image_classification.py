"""Train an image classifier, evaluate it and export it.

    python tasks/image_classification.py tasks/recipes/digits_mlp_mixer.py [key=value ...]
    python tasks/image_classification.py tasks/recipes/digits_mlp_mixer.py --help

The run leaves recipe.json, history.csv, metrics.json, model.keras, checkpoints, tables and pictures in the recipe's
output_dir, and a SavedModel in saved_models/. Broken off at any moment, the same command goes on where it stopped.
"""

import dataclasses
import functools
from pathlib import Path

import keras

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.classification import evaluate_classifier, predict_with_labels
from mixer_tf.analysis.report import require_matplotlib, write_report
from mixer_tf.data.augment import Augmentation
from mixer_tf.data.pipeline import eval_dataset, steps_per_epoch, train_dataset
from mixer_tf.data.sources import open_images
from mixer_tf.recipe import ImageClassification
from mixer_tf.training.layer_groups import freeze
from mixer_tf.training.losses import create_loss
from mixer_tf.training.run import (
    export_folder_of,
    final_weights,
    open_run,
    optimizer_of,
    prepare,
    run_figures,
    save_model,
    total_steps_of,
    train,
)
from mixer_tf.training.run_folder import finished_metrics, table_of, write_json
from mixer_tf.training.strategy import is_chief, synchronize_batch_norm

NEXT = """
Next, another architecture:  python tasks/image_classification.py tasks/recipes/digits_vit.py
      your own pictures:     python tasks/image_classification.py tasks/recipes/digits_vit.py data=folder:PATH"""


def main(recipe: ImageClassification) -> None:
    """The whole story, from raw data to a SavedModel."""
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{recipe.output_dir}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        return
    require_matplotlib()
    strategy = prepare(recipe)

    # Model, and raw data: whatever is wrong with the recipe shows before anything is trained
    with strategy.scope():
        backbone = mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
    augmentation = Augmentation(**recipe.select(field.name for field in dataclasses.fields(Augmentation)))
    source = open_images(recipe.data, **recipe.select(["data_dir", "skip_broken", "train_split", "eval_split"]))
    num_classes = len(source.class_names)
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)
    with strategy.scope():
        model = classifier(recipe, backbone, num_classes)
        compile_model(recipe, model, epoch_steps, total_steps)

    # Examples to batches
    reading = {"preprocessing": model.preprocessing, "num_classes": num_classes, "batch_size": recipe.batch_size}
    training_data = functools.partial(
        train_dataset, source.train, **reading, augmentation=augmentation, seed=recipe.seed
    )
    evaluation_data = functools.partial(eval_dataset, source.evaluation, **reading)

    # Fit, from the newest checkpoint where there is one
    open_run(recipe, strategy)
    progress = train(recipe, model, training_data, evaluation_data, epoch_steps=epoch_steps, total_steps=total_steps)

    # Evaluate: on every worker, as none may leave before the others; one of them writes
    result = evaluate_classifier(*predict_with_labels(model, evaluation_data()), source.class_names)
    metrics = {
        **result.metrics,
        **run_figures(recipe, model, progress, source, epoch_steps),
        "skipped_images": source.skipped,
    }
    if recipe.ema:
        with final_weights(recipe, model):
            average = evaluate_classifier(*predict_with_labels(model, evaluation_data()), source.class_names)
        metrics |= {f"ema_{name}": value for name, value in average.metrics.items()}
    if not is_chief(strategy):
        return
    output = Path(recipe.output_dir)
    save_model(recipe, model)
    worst = {index: source.evaluation.read(index)["image"].numpy() for index in result.most_wrong()}
    write_report(output, result, history=output / "history.csv", pictures=worst)

    # Export: the averaged weights where the recipe keeps them
    with final_weights(recipe, model):
        if recipe.export:
            version = mt.export(model, export_folder_of(recipe), class_names=source.class_names, activation=recipe.loss)
            print(f"\n{version}: the SavedModel, with preprocessing and class names inside")
    write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
    print(f"\n{output}: the run's model, tables and pictures\n{table_of(metrics)}")
    print(NEXT)


def classifier(recipe: ImageClassification, backbone: keras.Model, num_classes: int) -> keras.Model:
    """Head, initial weights, and the preprocessing that they expect unless the recipe says otherwise."""
    model = mt.classifier(
        backbone, num_classes, pool=recipe.pool, dropout=recipe.head_dropout, bias_initializer=recipe.head_bias
    )
    if recipe.initial_weights is not None:
        mt.load_weights(model, recipe.initial_weights, skip_head=recipe.skip_head)
    if recipe.freeze_up_to is not None:
        print(f"{freeze(model, recipe.freeze_up_to):,} weights are frozen up to {recipe.freeze_up_to}")
    if recipe.synchronized_norm:
        print(f"{synchronize_batch_norm(model)} batch norms are synchronised")
    model.preprocessing = recipe.preprocessing(model.preprocessing)
    model.accumulate_steps = recipe.accumulate_steps
    return model


def compile_model(recipe: ImageClassification, model: keras.Model, epoch_steps: int, total_steps: int) -> None:
    """Optimizer, loss and metrics."""
    model.compile(
        optimizer=optimizer_of(recipe, epoch_steps, total_steps),
        loss=create_loss(recipe.loss, recipe.label_smoothing),
        metrics=[
            "accuracy",
            keras.metrics.TopKCategoricalAccuracy(min(5, model.output_shape[-1]), name="top_5_accuracy"),
        ],
        steps_per_execution=recipe.steps_per_execution,
    )


if __name__ == "__main__":
    program.run(main, ImageClassification, __doc__)
