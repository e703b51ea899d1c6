"""Pretrain a backbone on pictures without labels: hide parts of them, and guess their colours.

    python tasks/masked_image.py tasks/recipes/masked_image_mlp_mixer.py [key=value ...]
    python tasks/masked_image.py tasks/recipes/masked_image_mlp_mixer.py --help

The run leaves recipe.json, history.csv, metrics.json, model.keras, checkpoints and pictures in the recipe's output_dir.
Broken off at any moment, the same command goes on where it stopped. Then train on labels from what it has learned:

    python tasks/image_classification.py RECIPE initial_weights=runs/masked_image_mlp_mixer/model.keras
"""

import functools
from pathlib import Path

import keras
import numpy as np

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.masked_evaluation import evaluate_masked_pixels, evaluate_masked_tokens, marginal_of
from mixer_tf.analysis.masked_report import write_curves, write_hidden_parts
from mixer_tf.analysis.oracles import Oracle, image_oracle
from mixer_tf.analysis.probes import copied_color_accuracy, probe_labels, require_scikit_learn
from mixer_tf.analysis.report import require_matplotlib
from mixer_tf.backbones import require_backbone
from mixer_tf.data.augment import Augmentation
from mixer_tf.data.markov import open_markov_images
from mixer_tf.data.masked_images import eval_masked_images, to_fit, train_masked_images
from mixer_tf.data.pipeline import steps_per_epoch
from mixer_tf.data.sources import open_images
from mixer_tf.heads.masked_image import NUM_COLORS, unit_of
from mixer_tf.recipe import MaskedImage
from mixer_tf.training.run import (
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


def main(recipe: MaskedImage) -> None:
    """The whole story, from pictures without labels to a backbone that has learned from them."""
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{recipe.output_dir}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        return
    require_matplotlib()
    require_backbone(recipe.backbone, reads="image")
    strategy = prepare(recipe)

    # Model, and raw data: whatever is wrong with the recipe shows before anything is trained
    with strategy.scope():
        backbone = mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
        unit = unit_of(backbone, recipe.patch_size)
    source = open_source(recipe)
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)
    with strategy.scope():
        model = masked_image_model(recipe, backbone)
        compile_model(recipe, model, epoch_steps, total_steps)

    # Pictures to batches: hidden units in, what stood there out
    masking = {"preprocessing": model.preprocessing, "unit": unit, "rate": recipe.mask_rate}
    masking |= recipe.select(["patch_size", "target", "batch_size", "seed"])
    augmentation = Augmentation(**recipe.select(["random_resized_crop", "padded_crop", "flip"]))
    training = functools.partial(train_masked_images, source.train, augmentation=augmentation, **masking)
    evaluation = functools.partial(eval_masked_images, source.evaluation, **masking)
    oracle = oracle_of(recipe, model, source, unit)

    # Fit, from the newest checkpoint where there is one
    open_run(recipe, strategy)
    progress = train(
        recipe,
        model,
        lambda **share: training(**share).map(to_fit),
        lambda **share: evaluation(**share).map(to_fit),
        epoch_steps=epoch_steps,
        total_steps=total_steps,
    )

    # Evaluate: on every worker, as none may leave before the others; one of them writes
    metrics = {
        **figures_of(recipe, model, lambda: evaluate(recipe, model, source, training, evaluation, oracle)),
        **run_figures(recipe, model, progress, source, epoch_steps),
        "skipped_images": source.skipped,
    }
    if not is_chief(strategy):
        return
    output = Path(recipe.output_dir)
    save_model(recipe, model)
    write_curves(output, metrics)
    with final_weights(recipe, model):
        write_hidden_parts(output, model, next(iter(evaluation())))
    write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
    print(f"\n{output}: the run's model, tables and pictures\n{table_of(metrics)}")
    learned = final_model_of(recipe)
    print(f"\nNext, train on labels:  python tasks/image_classification.py RECIPE initial_weights={learned}")


def open_source(recipe: MaskedImage):
    """The pictures: rows of a Markov chain, of which the best possible loss is known, or real ones."""
    if recipe.data == "markov":
        return open_markov_images(image_size=recipe.image_shape[:2], patch_size=recipe.patch_size)
    where = recipe.select(["data_dir", "skip_broken", "train_split", "eval_split"])
    source = open_images(recipe.data, **where, labelled=False)
    if len(source.class_names) > 1:
        require_scikit_learn()  # for the probes of the features
    else:
        print(f"{source.name} has no labels: linear_probe_accuracy and nearest_neighbour_accuracy are left out")
    return source


def masked_image_model(recipe: MaskedImage, backbone: keras.Model) -> keras.Model:
    """Head, initial weights, and the preprocessing that they expect unless the recipe says otherwise."""
    model = mt.masked_image_model(backbone, patch_size=recipe.patch_size, target=recipe.target)
    if recipe.initial_weights is not None:
        mt.load_weights(model, recipe.initial_weights, skip_head=recipe.skip_head)
    if recipe.synchronized_norm:
        print(f"{synchronize_batch_norm(model)} batch norms are synchronised")
    model.preprocessing = recipe.preprocessing(model.preprocessing)
    model.accumulate_steps = recipe.accumulate_steps
    return model


def compile_model(recipe: MaskedImage, model: keras.Model, epoch_steps: int, total_steps: int) -> None:
    """Optimizer, loss and metrics, over the hidden patches of the global batch alone."""
    colors, over_hidden = recipe.target == "colors", {"reduction": "mean_with_sample_weight", "dtype": "float32"}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, **over_hidden)
    model.compile(
        optimizer=optimizer_of(recipe, epoch_steps, total_steps),
        loss=loss if colors else keras.losses.MeanAbsoluteError(**over_hidden),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="masked_accuracy")] if colors else [],
        steps_per_execution=recipe.steps_per_execution,
    )


def oracle_of(recipe: MaskedImage, model: keras.Model, source, unit: int) -> Oracle | None:
    """The best possible guesses of colours, where they are known."""
    if recipe.data != "markov" or recipe.target != "colors":
        return None
    return image_oracle(source, model.preprocessing, patch_size=recipe.patch_size, unit=unit, rate=recipe.mask_rate)


def evaluate(recipe: MaskedImage, model: keras.Model, source, training, evaluation, oracle) -> dict[str, float]:
    """What the model says of the hidden patches, and what its features tell of the labels, where there are some."""
    if recipe.target == "pixels":
        figures = evaluate_masked_pixels(model, evaluation())
    else:
        marginal = marginal_of(training().take(20), NUM_COLORS)
        asked: dict[str, list] = {"labels": [], "kinds": []}  # of all batches, which are read once

        def batches():
            for batch in evaluation():
                for name, arrays in asked.items():
                    arrays.append(batch[name].numpy())
                yield batch

        figures = evaluate_masked_tokens(model, batches(), marginal=marginal, oracle=oracle)
        figures["copied_color_accuracy"] = copied_color_accuracy(*map(np.concatenate, asked.values()))
    if len(source.class_names) > 1:
        reading = {"preprocessing": model.preprocessing, "batch_size": recipe.batch_size, "seed": recipe.seed}
        figures |= probe_labels(model, source, **reading, neighbours=recipe.neighbours)
    return figures


if __name__ == "__main__":
    program.run(main, MaskedImage, __doc__)
