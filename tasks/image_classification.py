"""Train an image classifier, evaluate it and export it.

    python tasks/image_classification.py tasks/recipes/digits_mlp_mixer.py [key=value ...]
    python tasks/image_classification.py tasks/recipes/digits_mlp_mixer.py --help

The run leaves recipe.json, history.csv, metrics.json, model.keras, tables and pictures in the recipe's output_dir, and
a SavedModel in saved_models/.
"""

import contextlib
import dataclasses
import math
import sys
from pathlib import Path

import keras
import tensorflow as tf

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.classification import evaluate_classifier, predict_with_labels
from mixer_tf.analysis.report import require_matplotlib, write_report
from mixer_tf.analysis.size import count_parameters
from mixer_tf.data.augment import Augmentation
from mixer_tf.data.pipeline import eval_dataset, steps_per_epoch, train_dataset
from mixer_tf.data.sources import open_images
from mixer_tf.recipe import ImageClassification
from mixer_tf.training.callbacks import EvaluateAverage, StopAfterStep, StopWhenDiverged, TrainingSpeed
from mixer_tf.training.layer_groups import freeze
from mixer_tf.training.losses import create_loss
from mixer_tf.training.optimizers import averaged_weights, create_optimizer
from mixer_tf.training.run_folder import create_run_folder, table_of, write_json
from mixer_tf.training.schedules import create_schedule

NEXT = """
Next, another architecture:  python tasks/image_classification.py tasks/recipes/digits_vit.py
      your own pictures:     python tasks/image_classification.py tasks/recipes/digits_vit.py data=folder:PATH"""


def main(recipe: ImageClassification) -> None:
    """The whole story, from raw data to a SavedModel."""
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(recipe.precision)

    # Backbone, and raw data: whatever is wrong with the recipe shows before anything is trained
    require_matplotlib()
    backbone = mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
    augmentation = Augmentation(**recipe.select(field.name for field in dataclasses.fields(Augmentation)))
    source = open_images(recipe.data, **recipe.select(["data_dir", "skip_broken", "train_split", "eval_split"]))
    num_classes = len(source.class_names)
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = min(recipe.epochs * epoch_steps, recipe.steps or sys.maxsize)
    epochs = math.ceil(total_steps / epoch_steps)

    # Head, initial weights, and the preprocessing that they expect unless the recipe says otherwise
    model = mt.classifier(
        backbone, num_classes, pool=recipe.pool, dropout=recipe.head_dropout, bias_initializer=recipe.head_bias
    )
    if recipe.initial_weights is not None:
        mt.load_weights(model, recipe.initial_weights, skip_head=recipe.skip_head)
    if recipe.freeze_up_to is not None:
        print(f"{freeze(model, recipe.freeze_up_to):,} weights are frozen up to {recipe.freeze_up_to}")
    model.preprocessing = recipe.preprocessing(model.preprocessing)

    # Examples to batches
    reading = {"preprocessing": model.preprocessing, "num_classes": num_classes, "batch_size": recipe.batch_size}
    training_data = train_dataset(source.train, **reading, augmentation=augmentation, seed=recipe.seed)
    evaluation_data = eval_dataset(source.evaluation, **reading)

    # Compile and fit
    schedule = create_schedule(
        recipe.schedule,
        peak=recipe.learning_rate,
        total_steps=total_steps,
        warmup_steps=min(round(recipe.warmup_epochs * epoch_steps), total_steps // 2),
        final=recipe.final_learning_rate,
    )
    rules = recipe.select(["weight_decay", "momentum", "beta_2", "clip_norm", "ema", "layer_decay"])
    model.compile(
        optimizer=create_optimizer(recipe.optimizer, learning_rate=schedule, **rules),
        loss=create_loss(recipe.loss, recipe.label_smoothing),
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(min(5, num_classes), name="top_5_accuracy")],
    )
    output, export_folder = create_run_folder(recipe), Path("saved_models") / Path(recipe.output_dir).name
    if recipe.export:
        export_folder.mkdir(parents=True, exist_ok=True)  # what cannot be written shows before the training
    speed = TrainingSpeed(recipe.batch_size)
    model.fit(
        training_data,
        epochs=epochs,
        steps_per_epoch=epoch_steps,
        shuffle=False,  # the data set shuffles by itself
        validation_data=evaluation_data,
        callbacks=[
            *([EvaluateAverage(evaluation_data)] if recipe.ema else []),
            speed,
            StopAfterStep(total_steps),
            StopWhenDiverged(),
            keras.callbacks.CSVLogger(output / "history.csv"),
            *([keras.callbacks.TensorBoard(output / "tensorboard")] if recipe.tensorboard else []),
        ],
    )
    model.save(output / "model.keras")

    # Evaluate
    result = evaluate_classifier(*predict_with_labels(model, evaluation_data), source.class_names)
    metrics = {
        **result.metrics,
        "parameters": count_parameters(model),
        "train_seconds": speed.train_seconds,
        "train_images_per_second": speed.images_per_second,
        "epochs": epochs,
        "steps": total_steps,
        "seed": recipe.seed,
        "train_images": source.train.size,
        "evaluation_images": source.evaluation.size,
        "skipped_images": source.skipped,
    }
    if recipe.ema:
        with averaged_weights(model):
            average = evaluate_classifier(*predict_with_labels(model, evaluation_data), source.class_names)
            model.save(output / "model_ema.keras")
        metrics |= {f"ema_{name}": value for name, value in average.metrics.items()}
    write_json(output / "metrics.json", metrics)
    worst = {index: source.evaluation.read(index)["image"].numpy() for index in result.most_wrong()}
    write_report(output, result, history=output / "history.csv", pictures=worst)

    # Export: the averaged weights where the recipe keeps them
    if recipe.export:
        with averaged_weights(model) if recipe.ema else contextlib.nullcontext():
            version = mt.export(model, export_folder, class_names=source.class_names, activation=recipe.loss)
        print(f"\n{version}: the SavedModel, with preprocessing and class names inside")
    print(f"\n{output}: the run's model, tables and pictures\n{table_of(metrics)}")
    print(NEXT)


if __name__ == "__main__":
    program.run(main, ImageClassification, __doc__)
