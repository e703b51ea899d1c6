"""Pretrain an encoder of text: hide some tokens, and guess them from the others; or a decoder: guess what comes next.

    python tasks/masked_language.py tasks/recipes/masked_language_transformer.py [key=value ...]
    python tasks/masked_language.py tasks/recipes/masked_language_transformer.py --help
    python tasks/masked_language.py RECIPE data=text:PATH fill="吾輩[MASK]猫である"

The run leaves recipe.json, history.csv, metrics.json, model.keras, its vocabulary, checkpoints and a picture of the
curves in the recipe's output_dir, and a SavedModel in saved_models/. Broken off at any moment, the same command goes on
where it stopped; once it has finished, `fill` and `prompt` ask the finished model.
"""

import functools
from pathlib import Path

import keras
import tensorflow as tf

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.language import fill_masks, is_causal, next_probability, sample_text, sentence_figures
from mixer_tf.analysis.masked_evaluation import evaluate_masked_tokens, marginal_of
from mixer_tf.analysis.masked_report import write_curves
from mixer_tf.analysis.masked_tokens import require_no_leak
from mixer_tf.analysis.oracles import text_oracle
from mixer_tf.analysis.report import require_matplotlib
from mixer_tf.checks import require
from mixer_tf.data.masked_texts import Masking, eval_masked_texts, to_fit, train_masked_texts
from mixer_tf.data.pipeline import steps_per_epoch
from mixer_tf.data.text_files import TextCounts, read_sentences
from mixer_tf.data.texts import TextSource, open_texts
from mixer_tf.data.tokenizers import Tokenizer, open_tokenizer
from mixer_tf.recipe import MaskedLanguage
from mixer_tf.training.run import (
    export_folder_of,
    open_run,
    optimizer_of,
    prepare,
    run_figures,
    total_steps_of,
    train,
)
from mixer_tf.training.run_folder import finished_metrics, table_of, write_json
from mixer_tf.training.strategy import is_chief


def main(recipe: MaskedLanguage) -> None:
    """The whole story, from texts to a model that fills in what is missing."""
    output = Path(recipe.output_dir)
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{output}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        if recipe.fill or recipe.prompt:
            show(recipe, keras.saving.load_model(output / "model.keras"), open_tokenizer(next(output.glob("vocab*.*"))))
        return
    require_matplotlib()
    strategy = prepare(recipe)

    # Texts to token ids: vocabulary and tokens are made once and kept
    open_run(recipe, strategy)
    source = open_texts(
        recipe.data,
        folder=output / "tokens",
        **recipe.select(["sequence_length", "pair_task", "vocabulary", "vocab_size", "evaluation_share"]),
    )
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)

    # Model
    with strategy.scope():
        model = language_model(recipe, source)
        compile_model(recipe, model, epoch_steps, total_steps)
    check_questions(recipe, model, source)

    # Token ids to batches: hidden tokens in, what stood there out
    masking = Masking(recipe.mask_rate, recipe.whole_words, causal=is_causal(model))
    reading: dict = {"masking": masking, "batch_size": recipe.batch_size, "seed": recipe.seed}
    training = functools.partial(train_masked_texts, source, **reading)
    evaluation = functools.partial(eval_masked_texts, source, **reading)

    # Fit, from the newest checkpoint where there is one
    progress = train(
        recipe,
        model,
        lambda **share: training(**share).map(lambda batch: to_fit(batch, model)),
        lambda **share: evaluation(**share).map(lambda batch: to_fit(batch, model)),
        epoch_steps=epoch_steps,
        total_steps=total_steps,
    )
    if not is_chief(strategy):
        return

    # Evaluate: the hidden tokens, against the best possible where it is known, and whole sentences
    model.save(output / "model.keras")
    marginal = marginal_of(training().take(20), source.vocab_size)
    oracle = text_oracle(source, masking) if recipe.data == "markov" else None
    result, others = evaluate_masked_tokens(model, evaluation(), marginal=marginal, oracle=oracle)
    if oracle is not None:
        require_no_leak(result)
    metrics = by_name(result.metrics, masking) | others
    if source.tokenizer is not None:
        source.tokenizer.save(output)
        metrics |= sentence_figures(model, source.tokenizer, sentences(recipe, source, source.tokenizer))
    metrics |= run_figures(recipe, model, progress, source, epoch_steps)
    write_curves(output, metrics)

    # Export: the tokenizer inside, so that a server takes plain text
    if recipe.export and source.tokenizer is not None:
        version = mt.export(model, export_folder_of(recipe), tokenizer=source.tokenizer)
        print(f"\n{version}: the SavedModel, with its tokenizer inside")
    write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
    print(f"\n{output}: the run's model, vocabulary and pictures\n{table_of(metrics)}")
    if source.tokenizer is not None:
        show(recipe, model, source.tokenizer)


def language_model(recipe: MaskedLanguage, source: TextSource) -> keras.Model:
    """Encoder or decoder with its head, and initial weights."""
    encoder = mt.create_backbone(
        recipe.backbone,
        sequence_length=recipe.sequence_length,
        vocab_size=source.vocab_size,
        **recipe.backbone_arguments,
    )
    if is_causal(encoder):
        require(recipe.pair_task is None, f"pair_task must be none for a causal model; given: {recipe.pair_task}")
        model = mt.causal_language_model(encoder)
    else:
        pairs = recipe.pair_task is not None
        model = mt.masked_language_model(encoder, masked_positions=True, next_sentence=pairs)
    if recipe.initial_weights is not None:
        print(mt.load_weights(model, recipe.initial_weights))
    model.accumulate_steps = recipe.accumulate_steps
    return model


def compile_model(recipe: MaskedLanguage, model: keras.Model, epoch_steps: int, total_steps: int) -> None:
    """Optimizer, losses and metrics: over the hidden tokens of the global batch, and over its pairs."""
    of_tokens = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight", dtype="float32"
    )
    of_pairs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float32")
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="masked_accuracy")
    pairs = isinstance(model.output, dict)
    model.compile(
        optimizer=optimizer_of(recipe, epoch_steps, total_steps),
        loss={"mlm_logits": of_tokens, "nsp_logits": of_pairs} if pairs else of_tokens,
        weighted_metrics={"mlm_logits": [accuracy], "nsp_logits": ["accuracy"]} if pairs else [accuracy],
        steps_per_execution=recipe.steps_per_execution,
    )


def check_questions(recipe: MaskedLanguage, model: keras.Model, source: TextSource) -> None:
    """Refuse before the training what could not be answered after it."""
    if recipe.fill or recipe.prompt:
        require(source.tokenizer is not None, f"fill and prompt need real texts; given: data={recipe.data}")
    require(not (recipe.fill and is_causal(model)), f"fill needs a model that is not causal; given: {recipe.backbone}")
    require(
        not recipe.prompt or is_causal(model), f"prompt needs a causal model such as gpt2; given: {recipe.backbone}"
    )
    require(
        recipe.fill is None or "[MASK]" in "".join(recipe.fill), f"fill must have [MASK] in it; given: {recipe.fill!r}"
    )
    if recipe.sentences is not None:
        require(Path(recipe.sentences).is_file(), f"sentences must be a text file; given: {recipe.sentences}")


def by_name(figures: dict[str, float], masking: Masking) -> dict[str, float]:
    """The figures of the tokens; of a causal model those of the next token, of which there is one kind."""
    if not masking.causal:
        return figures
    return {name.replace("masked", "next_token"): x for name, x in figures.items() if not name.endswith("_kept")}


def sentences(recipe: MaskedLanguage, source: TextSource, tokenizer: Tokenizer, count: int = 16) -> list[str]:
    """The sentences that the recipe names, or some of the held-out texts."""
    if recipe.sentences is not None:
        return [sentence for sentence, _ in read_sentences(Path(recipe.sentences), TextCounts())]
    number = min(count, source.evaluation.size)
    examples = [source.evaluation.read(tf.constant(i, tf.int64), tf.constant([0, i], tf.int64)) for i in range(number)]
    texts = tokenizer.decode(tf.stack([example["token_ids"] for example in examples]))
    return [text.decode("utf-8", "replace") for text in texts.numpy()]


def show(recipe: MaskedLanguage, model: keras.Model, tokenizer: Tokenizer) -> None:
    """What the model puts in the place of each [MASK], whether the second text follows, how a text goes on."""
    if recipe.fill:
        texts = [recipe.fill] if isinstance(recipe.fill, str) else list(recipe.fill)
        print(f"\n{' / '.join(texts)}")
        for number, candidates in enumerate(fill_masks(model, tokenizer, *texts), start=1):
            print(f"  [MASK] {number}:  " + "  ".join(f"{piece} {chance:.1%}" for piece, chance in candidates))
        if len(texts) == 2 and isinstance(model.output, dict):
            print(f"  y = 1 (the second follows the first):  {next_probability(model, tokenizer, *texts):.1%}")
    if recipe.prompt:
        print(f"\n{sample_text(model, tokenizer, recipe.prompt, seed=recipe.seed)}")


if __name__ == "__main__":
    program.run(main, MaskedLanguage, __doc__)
