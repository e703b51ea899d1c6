"""Train an object detector, evaluate it as COCO does and export it.

    python tasks/object_detection.py tasks/recipes/scenes_resnet.py [key=value ...]
    python tasks/object_detection.py tasks/recipes/scenes_resnet.py predict=PICTURE_OR_FOLDER
    python tasks/object_detection.py tasks/recipes/scenes_resnet.py --help

The run leaves recipe.json, history.csv, metrics.json, model.keras, checkpoints, tables and pictures in the recipe's
output_dir, and a SavedModel in saved_models/. Broken off at any moment, the same command goes on where it stopped; once
it has finished, `predict` finds objects in pictures of your own.
"""

import dataclasses
import functools
import json
from pathlib import Path

import keras

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.annotate import annotate_pictures
from mixer_tf.analysis.coco import require_pycocotools
from mixer_tf.analysis.detection import DetectionResult, evaluate_detections, in_originals, predict_detections
from mixer_tf.analysis.detection_report import write_detection_report
from mixer_tf.analysis.report import require_matplotlib
from mixer_tf.data.augment_boxes import DetectionAugmentation
from mixer_tf.data.detection import eval_detection_dataset, train_detection_dataset
from mixer_tf.data.pipeline import steps_per_epoch
from mixer_tf.data.sources import open_detection
from mixer_tf.recipe import ObjectDetection
from mixer_tf.training.detection_loss import DetectionLoss
from mixer_tf.training.detection_metrics import CocoMetrics
from mixer_tf.training.layer_groups import freeze
from mixer_tf.training.retinanet_loss import RetinaNetLoss
from mixer_tf.training.run import (
    export_folder_of,
    figures_of,
    final_model_of,
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

LEAST_SCORE = 0.01  # of what is evaluated: average precision looks at improbable objects too
NUM_EXAMPLES = 8  # in the picture of truth beside predictions


def main(recipe: ObjectDetection) -> None:
    """The whole story, from pictures with boxes to a SavedModel that finds objects."""
    output = Path(recipe.output_dir)
    require_matplotlib()
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{output}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        predict(recipe)
        return
    require_pycocotools()
    strategy = prepare(recipe)

    # Model, and raw data: whatever is wrong with the recipe shows before anything is trained
    with strategy.scope():
        backbone = mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
    augmentation = DetectionAugmentation(**recipe.select(f.name for f in dataclasses.fields(DetectionAugmentation)))
    source = open_detection(recipe.data, **recipe.select(["data_dir", "skip_broken", "train_split", "eval_split"]))
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)
    with strategy.scope():
        model = detector(recipe, backbone, len(source.class_names))
        model.compile(
            optimizer=optimizer_of(recipe, epoch_steps, total_steps),
            loss=DetectionLoss() if recipe.head == "anchor_free" else RetinaNetLoss(),
            steps_per_execution=recipe.steps_per_execution,
        )

    # Pictures and boxes to batches
    reading = {"preprocessing": model.preprocessing, **recipe.select(["max_objects", "batch_size"])}
    training_data = functools.partial(
        train_detection_dataset, source.train, **reading, augmentation=augmentation, seed=recipe.seed
    )
    evaluation_data = functools.partial(eval_detection_dataset, source.evaluation, **reading)
    truths = [source.evaluation.truth(index) for index in range(source.evaluation.size)]
    to_original = functools.partial(boxes_in_original, model.preprocessing)

    # Fit, from the newest checkpoint where there is one
    open_run(recipe, strategy)
    precision = CocoMetrics(
        evaluation_data, truths, source.class_names, to_original=to_original, every=recipe.evaluate_every
    )
    steps = {"epoch_steps": epoch_steps, "total_steps": total_steps}
    progress = train(recipe, model, training_data, evaluation_data, **steps, callbacks=[precision])

    # Evaluate: on every worker, as none may leave before the others; one of them writes
    def evaluated() -> tuple[list, DetectionResult]:
        predictions = in_originals(predict_detections(model, evaluation_data()), truths, to_original)
        threshold = recipe.score_threshold
        return predictions, evaluate_detections(truths, predictions, source.class_names, score_threshold=threshold)

    metrics = {
        **figures_of(recipe, model, lambda: evaluated()[1].metrics),
        **run_figures(recipe, model, progress, source, epoch_steps),
        "skipped_images": source.skipped,
        **{f"dropped_{reason}": count for reason, count in source.dropped.items()},
    }
    if not is_chief(strategy):
        return
    save_model(recipe, model)
    write_json(output / "classes.json", {"class_names": source.class_names, "category_ids": source.category_ids})
    with final_weights(recipe, model):
        predictions, result = evaluated()
        examples = [
            (source.evaluation.read(index)["image"].numpy(), truths[index], predictions[index])
            for index in range(min(NUM_EXAMPLES, len(truths)))
        ]
        write_detection_report(output, result, history=output / "history.csv", examples=examples)

        # Export, with the threshold that is meant for people
        model.score_threshold = recipe.score_threshold
        if recipe.export:
            version = mt.export(model, export_folder_of(recipe), class_names=source.class_names)
            print(f"\n{version}: the SavedModel, with preprocessing, decoding and class names inside")
    write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
    print(f"\n{output}: the run's model, tables and pictures\n{table_of(metrics)}")
    predict(recipe)
    print("\nNext, your own pictures:  the same command with predict=PICTURE_OR_FOLDER")


def detector(recipe: ObjectDetection, backbone: keras.Model, num_classes: int) -> keras.Model:
    """Head, initial weights, and the preprocessing that they expect unless the recipe says otherwise."""
    thresholds = {"score_threshold": LEAST_SCORE, **recipe.select(["iou_threshold", "max_detections"])}
    if recipe.head == "anchor_free":
        model = mt.detector(backbone, num_classes, width=recipe.head_width, num_convs=recipe.head_convs, **thresholds)
    else:
        model = mt.retinanet(backbone, num_classes, anchor_scale=recipe.anchor_scale, **thresholds)
    if recipe.initial_weights is not None:
        print(mt.load_weights(model, recipe.initial_weights, skip_head=recipe.skip_head))
    if recipe.freeze_up_to is not None:
        print(f"{freeze(model, recipe.freeze_up_to):,} weights are frozen up to {recipe.freeze_up_to}")
    if recipe.synchronized_norm:
        print(f"{synchronize_batch_norm(model)} batch norms are synchronised")
    model.preprocessing = recipe.preprocessing(model.preprocessing)
    model.accumulate_steps = recipe.accumulate_steps
    return model


def boxes_in_original(preprocessing, boxes, truth):
    """Boxes of the model's input as boxes of the picture, however large it is."""
    return preprocessing.boxes_to_picture(boxes, [truth["height"], truth["width"]]).clip(0, 1)


def predict(recipe: ObjectDetection) -> None:
    """Find objects in the pictures of a user."""
    if recipe.predict is None:
        return
    output = Path(recipe.output_dir)
    model = keras.saving.load_model(final_model_of(recipe))
    model.score_threshold = recipe.score_threshold
    classes = json.loads((output / "classes.json").read_text(encoding="utf-8"))
    folder = output / "predictions"
    count = annotate_pictures(model, recipe.predict, folder, **classes, batch_size=recipe.batch_size)
    print(f"\n{folder}: {count} pictures with boxes, and results.json with all of them")


if __name__ == "__main__":
    program.run(main, ObjectDetection, __doc__)
