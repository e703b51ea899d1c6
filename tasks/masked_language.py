"""Pretrain an encoder of text: hide some tokens, and guess them from the others; or a decoder: guess what comes next.

    python tasks/masked_language.py tasks/recipes/masked_language_bert.py [key=value ...]
    python tasks/masked_language.py tasks/recipes/masked_language_bert.py --help
    python tasks/masked_language.py RECIPE data=text:PATH fill="吾輩[MASK]猫である"

The run leaves recipe.json, history.csv, metrics.json, model.keras, its vocabulary, checkpoints and a picture of the
curves in the recipe's output_dir, and a SavedModel in saved_models/. Broken off at any moment, the same command goes on
where it stopped; once it has finished, `fill` and `prompt` ask the finished model.
"""

import functools
from pathlib import Path

import keras

import mixer_tf as mt
from mixer_tf import program
from mixer_tf.analysis.language import (
    fill_masks,
    next_probability,
    packed_prompt,
    packed_with_masks,
    sample_text,
    sentence_figures,
)
from mixer_tf.analysis.masked_evaluation import evaluate_masked_tokens, marginal_of
from mixer_tf.analysis.masked_report import write_curves
from mixer_tf.analysis.oracles import text_oracle
from mixer_tf.analysis.report import require_matplotlib
from mixer_tf.backbones import require_backbone
from mixer_tf.checks import require
from mixer_tf.data.masked_texts import Masking, eval_masked_texts, to_fit, train_masked_texts
from mixer_tf.data.pipeline import steps_per_epoch
from mixer_tf.data.text_files import list_sentences
from mixer_tf.data.texts import TextSource, held_out_texts, open_texts, open_vocabulary
from mixer_tf.data.tokenizers import Tokenizer, open_tokenizer
from mixer_tf.heads.causal_language import is_causal
from mixer_tf.recipe import MaskedLanguage
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
from mixer_tf.training.run_folder import finished_metrics, require_same_data, table_of, write_json
from mixer_tf.training.strategy import is_chief, synchronize_batch_norm


def main(recipe: MaskedLanguage) -> None:
    """The whole story, from texts to a model that fills in what is missing."""
    output = Path(recipe.output_dir)
    if (metrics := finished_metrics(recipe)) is not None:
        print(f"{output}: this run has finished; another output_dir trains anew\n{table_of(metrics)}")
        if recipe.fill or recipe.prompt:
            vocabularies = sorted(output.glob("vocabulary.*"))
            require(vocabularies, f"a finished run must have its vocabulary to be asked; given: {output} without any")
            print(answers(recipe, keras.saving.load_model(final_model_of(recipe)), open_tokenizer(vocabularies[0])))
        return
    require_matplotlib()
    require_backbone(recipe.backbone, reads="text")
    if recipe.sentences is not None:
        list_sentences(recipe.sentences)  # whether there are some
    strategy = prepare(recipe)

    # What is wrong with the recipe shows before a vocabulary is trained, or the texts are tokenized
    trial = untrained_model(recipe, vocab_size=8)
    keras.utils.set_random_seed(recipe.seed)  # of which the trial has taken some numbers
    open_run(recipe, strategy)

    # Texts to token ids: vocabulary and tokens are made once and kept
    folder, tokenizer = recipe.data_dir or output / "tokens", None
    if recipe.data != "markov":
        tokenizer = open_vocabulary(recipe.data, folder=folder, **recipe.select(["vocabulary", "vocab_size"]))
        require_room_for_questions(recipe, trial, tokenizer)
    splitting = recipe.select(["sequence_length", "pair_task", "evaluation_share"])
    source = open_texts(recipe.data, folder=folder, tokenizer=tokenizer, **splitting)
    require_same_data(recipe, source.fingerprints, write=is_chief(strategy))
    epoch_steps = steps_per_epoch(source.train, recipe.batch_size)
    total_steps = total_steps_of(recipe, epoch_steps)

    # Model
    with strategy.scope():
        model = language_model(recipe, source)
        compile_model(recipe, model, epoch_steps, total_steps)

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

    # Evaluate: on every worker, as none may leave before the others; one of them writes
    metrics = {
        **figures_of(recipe, model, lambda: evaluate(recipe, model, source, masking, training, evaluation)),
        **run_figures(recipe, model, progress, source, epoch_steps),
    }
    if not is_chief(strategy):
        return
    save_model(recipe, model)
    write_curves(output, metrics)

    # Export, with the averaged weights where the recipe keeps them: the tokenizer inside, so that a server takes text
    with final_weights(recipe, model):
        if tokenizer is not None:
            tokenizer.save(output)
        if recipe.export:
            version = mt.export(model, export_folder_of(recipe), tokenizer=tokenizer)
            print(f"\n{version}: the SavedModel, with its tokenizer inside")
        write_json(output / "metrics.json", metrics)  # the last file of a run: with it, the run has finished
        print(f"\n{output}: the run's model, vocabulary and pictures\n{table_of(metrics)}")
        if tokenizer is not None:
            print(answers(recipe, model, tokenizer))
    print(f"\nNext, {following(recipe, masking.causal)}")


def untrained_model(recipe: MaskedLanguage, vocab_size: int) -> keras.Model:
    """Encoder or decoder with its head; what the recipe asks of the other kind is refused."""
    start = recipe.initial_weights
    require(start is None or Path(start).is_file(), f"initial_weights must be an existing file; given: {start}")
    arguments: dict = {"sequence_length": recipe.sequence_length, "vocab_size": vocab_size}
    arguments |= recipe.backbone_arguments
    encoder = mt.create_backbone(recipe.backbone, **arguments)
    needless: dict[str, object] = {"prompt": None}
    if causal := is_causal(encoder):
        needless = {"pair_task": None, "whole_words": False, "fill": None}
    for name, none in needless.items():
        given, kind = getattr(recipe, name), "causal" if causal else "masked"
        require(given == none, f"{name} must be {str(none).lower()} for a {kind} model; given: {given}")
    if causal:
        return mt.causal_language_model(encoder)
    return mt.masked_language_model(encoder, masked_positions=True, next_sentence=recipe.pair_task is not None)


def require_room_for_questions(recipe: MaskedLanguage, model: keras.Model, tokenizer: Tokenizer) -> None:
    """Refuse texts that the model could not be asked about after its training, as they are too long."""
    if recipe.fill is not None:
        packed_with_masks(model, tokenizer, *texts_to_fill(recipe))
    if recipe.prompt is not None:
        packed_prompt(model, tokenizer, recipe.prompt)


def language_model(recipe: MaskedLanguage, source: TextSource) -> keras.Model:
    """The model with its initial weights."""
    model = untrained_model(recipe, source.vocab_size)
    if recipe.initial_weights is not None:
        mt.load_weights(model, recipe.initial_weights, skip_head=recipe.skip_head)
    if recipe.synchronized_norm:
        print(f"{synchronize_batch_norm(model)} batch norms are synchronised")
    model.accumulate_steps = recipe.accumulate_steps
    return model


def compile_model(recipe: MaskedLanguage, model: keras.Model, epoch_steps: int, total_steps: int) -> None:
    """Optimizer, losses and metrics: over the hidden tokens of the global batch, and over its pairs."""
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight", dtype="float32"
    )
    accuracy = keras.metrics.SparseCategoricalAccuracy("next_token_accuracy" if is_causal(model) else "masked_accuracy")
    pairs = isinstance(model.output, dict)
    model.compile(
        optimizer=optimizer_of(recipe, epoch_steps, total_steps),
        loss={"mlm_logits": loss, "nsp_logits": loss} if pairs else loss,
        weighted_metrics={"mlm_logits": [accuracy], "nsp_logits": ["accuracy"]} if pairs else [accuracy],
        steps_per_execution=recipe.steps_per_execution,
    )


def evaluate(recipe: MaskedLanguage, model: keras.Model, source: TextSource, masking, training, evaluation) -> dict:
    """What the model says of hidden tokens, against the best possible where it is known, and of whole sentences."""
    marginal = marginal_of(training().take(20), source.vocab_size)
    oracle = text_oracle(source, masking) if recipe.data == "markov" else None
    figures = evaluate_masked_tokens(model, evaluation(), marginal=marginal, oracle=oracle)
    if masking.causal:  # there is one kind of next token
        figures = {key.replace("masked", "next_token"): x for key, x in figures.items() if not key.endswith("_kept")}
        figures["next_token_perplexity"] = figures.pop("perplexity")  # and not of whole sentences
    if source.tokenizer is not None and source.counts is not None:
        sentences = list_sentences(recipe.sentences) if recipe.sentences else held_out_texts(source)
        figures |= sentence_figures(model, source.tokenizer, sentences)
        figures |= {"corpus_tokens": source.counts.tokens, "replaced_bytes": source.counts.replaced_bytes}
    return figures


def answers(recipe: MaskedLanguage, model: keras.Model, tokenizer: Tokenizer) -> str:
    """What the model puts in the place of each [MASK], whether the second text follows, how a text goes on."""
    lines = []
    if recipe.fill is not None:
        texts = texts_to_fill(recipe)
        lines += ["", " / ".join(texts)]
        for number, candidates in enumerate(fill_masks(model, tokenizer, *texts), start=1):
            lines.append(f"  [MASK] {number}:  " + "  ".join(f"{piece} {chance:.1%}" for piece, chance in candidates))
        if len(texts) == 2 and isinstance(model.output, dict):
            lines.append(f"  y = 1 (the second follows the first):  {next_probability(model, tokenizer, *texts):.1%}")
    if recipe.prompt is not None:
        lines += ["", sample_text(model, tokenizer, recipe.prompt, seed=recipe.seed)]
    return "\n".join(lines)


def texts_to_fill(recipe: MaskedLanguage) -> list[str]:
    """The one or two texts in which `fill` has [MASK]."""
    return [recipe.fill] if isinstance(recipe.fill, str) else list(recipe.fill or ())


def following(recipe: MaskedLanguage, causal: bool) -> str:
    """What to do with the finished run."""
    if recipe.data == "markov":
        return "real texts:  python tasks/masked_language.py RECIPE data=text:PATH output_dir=runs/texts"
    question = 'prompt="..."' if causal else 'fill="... [MASK] ..."'
    return f"ask the model, which is not trained again:  the same command with {question}"


if __name__ == "__main__":
    program.run(main, MaskedLanguage, __doc__)
