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

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.masked_evaluation import evaluate_masked_pixels, evaluate_masked_tokens, marginal_of
from mixer_tf.analysis.masked_report import write_curves, write_hidden_parts
from mixer_tf.analysis.masked_tokens import require_no_leak
from mixer_tf.analysis.oracles import image_oracle
from mixer_tf.analysis.probes import features_of, linear_probe, nearest_neighbour_probe, neighbour_color_accuracy
from mixer_tf.analysis.report import require_matplotlib
from mixer_tf.data.augment import Augmentation
from mixer_tf.data.markov import MarkovImages, open_markov_images
from mixer_tf.data.masked_images import eval_masked_images, to_fit, train_masked_images
from mixer_tf.data.pipeline import eval_dataset, steps_per_epoch, train_dataset
from mixer_tf.data.sources import open_images
from mixer_tf.heads.masked_image import NUM_COLORS, unit_of
from mixer_tf.recipe import MaskedImage
from mixer_tf.training.run import open_run, optimizer_of, prepare, run_figures, total_steps_of, train
from mixer_tf.training.run_folder import finished_metrics, table_of, write_json
from mixer_tf.training.strategy import is_chief


def main(recipe: MaskedImage) -> None:
    """The whole story, from pictures without labels to a backbone that has learned from them."""
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{recipe.output_dir}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        return
    require_matplotlib()
    strategy = prepare(recipe)

    # Model, and raw data: whatever is wrong with the recipe shows before anything is trained
    with strategy.scope():
        backbone = mt.create_backbone(recipe.backbone, recipe.image_shape, **recipe.backbone_arguments)
        unit = unit_of(backbone, recipe.patch_size)
    source = open_source(recipe)
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)
    with strategy.scope():
        model = mt.masked_image_model(backbone, patch_size=recipe.patch_size, target=recipe.target)
        if recipe.initial_weights is not None:
            mt.load_weights(model, recipe.initial_weights)
        model.preprocessing = recipe.preprocessing(model.preprocessing)
        model.accumulate_steps = recipe.accumulate_steps
        compile_model(recipe, model, epoch_steps, total_steps)

    # Pictures to batches: hidden units in, what stood there out
    masking = {"preprocessing": model.preprocessing, "unit": unit, "rate": recipe.mask_rate, "seed": recipe.seed}
    masking |= recipe.select(["patch_size", "target", "batch_size"])
    augmentation = Augmentation(**recipe.select(["random_resized_crop", "padded_crop", "flip"]))
    training = functools.partial(train_masked_images, source.train, augmentation=augmentation, **masking)
    evaluation = functools.partial(eval_masked_images, source.evaluation, **masking)

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
    if not is_chief(strategy):
        return

    # Evaluate: the hidden patches, against the best possible where it is known; the features, where there are labels
    output = Path(recipe.output_dir)
    model.save(output / "model.keras")
    if recipe.target == "pixels":
        metrics = evaluate_masked_pixels(model, evaluation())
    else:
        metrics = evaluate_colors(recipe, model, source, training, evaluation, unit)
    if len(source.class_names) > 1:
        metrics |= probes(recipe, model, source)
    metrics |= run_figures(recipe, model, progress, source, epoch_steps)
    write_curves(output, metrics)
    write_hidden_parts(output, model, next(iter(evaluation())))
    write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
    print(f"\n{output}: the run's model, tables and pictures\n{table_of(metrics)}")
    print(f"\nNext, train on labels:  python tasks/image_classification.py RECIPE initial_weights={output}/model.keras")


def open_source(recipe: MaskedImage):
    """The pictures: rows of a Markov chain, of which the best possible loss is known, or real ones."""
    if recipe.data == "markov":
        return open_markov_images(image_size=recipe.image_shape[:2], patch_size=recipe.patch_size)
    return open_images(recipe.data, **recipe.select(["data_dir", "skip_broken", "train_split", "eval_split"]))


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


def evaluate_colors(recipe: MaskedImage, model: keras.Model, source, training, evaluation, unit: int) -> dict:
    """The figures of guessed colours; a loss that is better than the best possible one stops the run as a leak."""
    oracle = None
    if isinstance(source, MarkovImages):
        oracle = image_oracle(
            source, model.preprocessing, patch_size=recipe.patch_size, unit=unit, rate=recipe.mask_rate
        )
    marginal = marginal_of(training().take(20), NUM_COLORS)
    result, others = evaluate_masked_tokens(model, evaluation(), marginal=marginal, oracle=oracle)
    if oracle is not None:
        require_no_leak(result)
    batch = next(iter(evaluation()))
    copied = neighbour_color_accuracy(batch["labels"].numpy(), batch["kinds"].numpy())
    return {**result.metrics, **others, "neighbour_accuracy": copied}


def probes(recipe: MaskedImage, model: keras.Model, source) -> dict[str, float]:
    """What can be told of the labels from the features alone, of at most 10,000 training pictures."""
    reading = {"preprocessing": model.preprocessing, "num_classes": len(source.class_names)}
    size = min(recipe.batch_size, source.train.size)
    training = train_dataset(source.train, **reading, augmentation=Augmentation(), batch_size=size, seed=recipe.seed)
    known = features_of(model, training.take(min(source.train.size, 10_000) // size))
    asked = features_of(model, eval_dataset(source.evaluation, **reading, batch_size=size))
    neighbours = min(recipe.neighbours, len(known[1]))
    return {
        "linear_probe_accuracy": linear_probe(*known, *asked),
        "nearest_neighbour_accuracy": nearest_neighbour_probe(*known, *asked, neighbours=neighbours),
    }


if __name__ == "__main__":
    program.run(main, MaskedImage, __doc__)
