"""Pretraining on texts, from the command line to the files that it leaves, and every bad input that it must refuse."""

import json
import math
import random
import shutil
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.tokenizers import open_tokenizer
from mixer_tf.keras_fixes import Model
from tests.tasks import programs
from tests.training.test_equality import two_worker_configs

BERT = programs.shipped("masked_language_bert")
GPT2 = programs.shipped("masked_language_gpt2")
TRANSFORMER = [
    "backbone_arguments.num_blocks=1",
    "backbone_arguments.hidden_dim=12",
    "backbone_arguments.num_heads=3",
    "backbone_arguments.mlp_dim=20",
]
SGD = ["optimizer=sgd", "learning_rate=0.1"]  # Adam makes much of differences that are only rounding
SMALL = [*TRANSFORMER, *SGD, "batch_size=12", "steps=5", "sequence_length=18", "output_dir=run"]
TEXTS = ["data=text:texts", "vocab_size=420", "evaluation_share=0.25"]  # the long line is trained on
FINISHED = [*SMALL, *TEXTS, "pair_task=nsp", "whole_words=true", "ema=0.9", "export=true", "sentences=more/lines.txt"]
KNOWN = [*SMALL, "steps=4"]
WORDPIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "吾", "輩", "猫", "は", "##s", "cat", "sat", ".", "。"]


def run(*arguments, recipe=BERT):
    """The program in this process; its exit code."""
    return programs.run("masked_language", recipe, *arguments)


def write_texts(folder):
    """Japanese and English: many lines, one of 300 kB, empty lines, broken bytes, and Windows' ends of lines."""
    (folder / "texts").mkdir(parents=True)
    (folder / "more").mkdir()
    japanese = "吾輩は猫である。名前はまだ無い。\n\nどこで生れたか頓と見当がつかぬ。猫はまだ無い。\n" * 12
    (folder / "texts" / "japanese.txt").write_text(japanese, encoding="utf-8")
    (folder / "texts" / "windows.txt").write_bytes(b"The cat sat.\r\nIt has no name yet.\r\n\r\n\r\nA dog ran.\r\n" * 9)
    long = "a line that never ends goes on and on. " * (300_000 // 39)
    (folder / "texts" / "one_line.txt").write_text(long)
    (folder / "texts" / "broken.txt").write_bytes(b"This is \xff\xfe no UTF-8 at all.\nThis \xe3\x81 neither.\n" * 2)
    (folder / "more" / "lines.txt").write_text("名前は猫である。\nThe cat has no name.\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which one short run on text files was made, and what it printed."""
    folder = write_texts(tmp_path_factory.mktemp("clone"))
    with programs.working_in(folder):
        assert run(*FINISHED, 'fill=("吾輩[MASK]猫である", "名前は[MASK]")') == 0
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A folder in which one short run on a Markov chain was made, and what it printed."""
    folder = tmp_path_factory.mktemp("markov")
    with programs.working_in(folder):
        assert run(*KNOWN) == 0
    return folder


@pytest.fixture
def again(finished, work, monkeypatch):
    """Work in the folder of the finished run."""
    monkeypatch.chdir(finished)
    return finished


def test_run_leaves_everything_that_it_promises(finished):
    names = {path.name for path in (finished / "run").iterdir()}
    assert names >= {"recipe.json", "history.csv", "metrics.json", "model.keras", "model_ema.keras"}
    assert names >= {"vocabulary.model", "tokens", "checkpoints", "learning_curves.png"}
    figures = programs.metrics(finished / "run")
    of_tokens = {f"masked_{name}" for name in ("loss", "accuracy", "top_5_accuracy")}
    assert figures.keys() >= of_tokens | {
        "scored_tokens",
        "marginal_loss",
        "pair_accuracy",
        "pair_share",
        "pseudo_perplexity",
    }
    assert figures.keys() >= {f"{name}_{kind}" for name in of_tokens for kind in ("masked", "random", "kept")}
    assert figures.keys() >= {f"ema_{name}" for name in of_tokens | {"pair_accuracy", "pseudo_perplexity"}}
    assert figures.keys() >= {"bits_per_character", "bits_per_byte", "parameters", "train_seconds", "steps", "seed"}
    assert all(type(value) in (int, float) and math.isfinite(value) for value in figures.values())
    assert figures["steps"] == 5
    assert figures["masked_loss"] != figures["ema_masked_loss"]
    assert not {"ema_marginal_loss", "ema_scored_tokens"} & figures.keys()  # no weights change them
    assert json.loads((finished / "run" / "recipe.json").read_text())["pair_task"] == "nsp"


def test_run_says_what_it_met_in_the_texts_and_what_to_do_next(finished):
    printed = (finished / "printed.txt").read_text()
    broken = 2 * (2 + 2)  # of each line pair: FF, FE; and a character that is cut off, of two bytes
    assert f"replaced {broken} of " in printed
    assert "empty lines" in printed
    assert programs.metrics(finished / "run")["replaced_bytes"] == broken
    assert "吾輩[MASK]猫である / 名前は[MASK]" in printed
    assert "[MASK] 2:  " in printed
    assert "y = 1 (the second follows the first):  " in printed
    assert 'Next, ask the model, which is not trained again:  the same command with fill="... [MASK] ..."' in printed


def test_exported_model_answers_with_the_averaged_weights(finished):
    served = tf.saved_model.load(str(finished / "saved_models" / "run" / "1")).signatures["serve_tokens"]
    model = keras.models.load_model(finished / "run" / "model_ema.keras")
    tokenizer = open_tokenizer(finished / "run" / "vocabulary.model")
    token_ids = np.zeros((1, 18), "int32")
    token_ids[0, :5] = [2, 300, 5, 301, 3]  # [CLS] . [MASK] . [EOS]
    inputs = {"token_ids": token_ids, "segment_ids": 0 * token_ids, "padding_mask": (token_ids > 0).astype("int32")}
    found = served(**{name: tf.constant(array) for name, array in inputs.items()})
    logits = model({**inputs, "masked_positions": np.array([[2]], "int32")})["mlm_logits"]
    logits = np.where(tokenizer.is_special, -np.inf, logits[0, 0])
    assert found["token_ids"][0, 0, 0] == logits.argmax()
    expected = np.exp(logits.max()) / np.exp(logits).sum()
    assert float(found["probabilities"][0, 0, 0]) == pytest.approx(expected, rel=1e-4)


def test_finished_run_answers_other_questions_and_is_left_as_it_is(again, capsys):
    before = {path: path.stat().st_mtime_ns for path in again.rglob("*")}
    assert run(*FINISHED, "fill=the [MASK] sat") == 0
    printed = capsys.readouterr().out
    assert "this run has finished; another output_dir trains anew" in printed
    assert "\nthe [MASK] sat\n  [MASK] 1:  " in printed
    assert run(*FINISHED, "fill=[MASK] " + 40 * "猫") == 0
    assert run(*FINISHED, "fill=" + 40 * "猫" + "[MASK]") == 2
    assert "every [MASK] must stand within the 18 tokens" in capsys.readouterr().err
    assert run(*FINISHED, "prompt=Once") == 2
    assert "can be continued by a causal language model alone" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in again.rglob("*")} == before


def test_finished_run_is_never_overwritten(again, capsys):
    assert run(*FINISHED, "resume=false") == 2
    assert "output_dir must be empty with resume=false; given: run" in capsys.readouterr().err
    assert run(*FINISHED, "mask_rate=0.3", "pair_task=sop") == 2
    error = capsys.readouterr().err
    assert "begun with another mask_rate (0.15, now 0.3), pair_task ('nsp', now 'sop')" in error
    assert error.count("\n") == 1


def test_causal_model_goes_on_with_a_prompt(finished, work, eager, capsys):
    texts = ["data=sentences", f"vocabulary={finished / 'run' / 'vocabulary.model'}", "data_dir=kept"]
    start = [*SMALL, *texts, "ema=0.5", "steps=2"]
    assert run(*start, "prompt=1905", recipe=GPT2) == 0  # a text, though a number
    assert "\n1905" in capsys.readouterr().out
    figures = programs.metrics("run")
    names = {"loss", "accuracy", "top_5_accuracy", "perplexity"}
    assert figures.keys() >= {f"{ema}next_token_{name}" for ema in ("", "ema_") for name in names}
    assert not any("masked" in name for name in figures)
    assert figures["perplexity"] != figures["next_token_perplexity"]  # of whole sentences
    assert list((work / "kept").glob("tokens_*"))
    assert not (work / "run" / "tokens").exists()
    assert run(*start, "prompt=The cat", recipe=GPT2) == 0
    assert "\nThe cat" in capsys.readouterr().out


def test_published_vocabularies_and_mixed_bfloat16(work, eager, capsys):
    write_texts(work)
    (work / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n", encoding="utf-8")
    more = ["vocabulary=vocab.txt", "pair_task=sop", "precision=mixed_bfloat16", "steps=2", "synchronized_norm=true"]
    assert run(*SMALL, *TEXTS, *more, "fill=吾[MASK]は猫") == 0
    assert "0 batch norms are synchronised" in capsys.readouterr().out
    figures = programs.metrics("run")
    assert all(math.isfinite(value) for value in figures.values())
    model = keras.models.load_model("run/model.keras")
    assert model.get_layer("head_dense").compute_dtype == "bfloat16"
    assert {output.dtype for output in model.output.values()} == {"float32"}
    assert open_tokenizer("run/vocabulary.txt").pieces == tuple(WORDPIECES)


def test_known_floor_is_printed(known):
    printed, figures = (known / "printed.txt").read_text(), programs.metrics(known / "run")
    for name in ("masked_loss", "marginal_loss", "bayes_loss", "gap", "gap_standard_error"):
        assert f"  {name} " in printed
        assert math.isfinite(figures[name])
    assert figures["gap"] == pytest.approx(figures["masked_loss"] - figures["bayes_loss"])
    assert figures["bayes_loss"] < figures["marginal_loss"] < figures["masked_loss"]  # hardly trained
    assert "Next, real texts:  python tasks/masked_language.py" in printed


def test_leak_ends_the_run_with_one_sentence(work, eager, monkeypatch, capsys):
    def peeking(encoder, *, masked_positions, next_sentence):
        places, labels = (keras.Input((None,), dtype="int32", name=name) for name in ("masked_positions", "labels"))
        rows = keras.ops.take_along_axis(encoder.output, places[:, :, None], axis=1)
        logits = keras.layers.Dense(22, dtype="float32")(rows) + 9.0 * keras.ops.one_hot(labels, 22)
        return Model({**encoder.input, "masked_positions": places, "labels": labels}, logits)

    monkeypatch.setattr("mixer_tf.masked_language_model", peeking)
    assert run(*SMALL, "steps=1") == 2
    error = capsys.readouterr().err
    assert "masked_loss must not be below bayes_loss" in error
    assert "the model sees what it has to guess" in error
    assert error.count("\n") == 1
    assert not (work / "run" / "metrics.json").exists()


def test_replicas_train_on_pairs_as_one_does(again):
    more = ["export=false", "strategy=mirrored", "data_dir=run/tokens", "output_dir=two"]
    assert run(*FINISHED, *more) == 0
    programs.assert_as_one_replica("run", "two")


def test_two_workers_train_on_pairs_as_one_does(work, eager):
    write_texts(work)
    few = [*SMALL, "data=text:texts/japanese.txt", "vocab_size=300", "evaluation_share=0.2", "pair_task=nsp"]
    few += ["steps=3", "export=false"]
    assert run(*few) == 0
    workers = ["strategy=multi_worker", "data_dir=run/tokens", "output_dir=workers"]
    processes = [
        programs.start(work, "masked_language", BERT, *few, *workers, log=f"log{index}.txt", TF_CONFIG=config)
        for index, config in enumerate(two_worker_configs())
    ]
    for index, process in enumerate(processes):
        assert process.wait(timeout=200) == 0, (work / f"log{index}.txt").read_text()[-3000:]
    programs.assert_as_one_replica("run", "workers")


def test_replicas_and_micro_batches_train_as_one_replica_does(known, work):
    assert run(*KNOWN, "strategy=mirrored", "accumulate_steps=3", "steps_per_execution=2") == 0
    programs.assert_as_one_replica(known / "run", "run")


def test_killed_run_ends_as_if_nothing_had_happened(tmp_path):
    folders = {name: write_texts(tmp_path / name) for name in ("unbroken", "killed")}
    arguments = [*SMALL, *TEXTS, "pair_task=nsp", "backbone_arguments.dropout=0.1", "steps=40", "export=false"]
    arguments += ["batch_size=4", "checkpoint_every=1"]
    unbroken, killed = (programs.start(folder, "masked_language", BERT, *arguments) for folder in folders.values())
    moments = random.Random(time.time_ns())  # others in every run of this test
    programs.wait_for_steps(folders["killed"], killed, moments.randrange(1, 25))
    time.sleep(moments.uniform(0, 0.1))
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(timeout=60) == -signal.SIGKILL
    killed = programs.start(folders["killed"], "masked_language", BERT, *arguments)
    for process, folder in zip((unbroken, killed), folders.values(), strict=True):
        assert process.wait(timeout=200) == 0, (folder / "log.txt").read_text()[-3000:]
    assert programs.newest_step(folders["killed"]) == 40
    programs.assert_same_end(folders["killed"], folders["unbroken"])


def test_broken_off_run_goes_on_with_its_own_texts_and_vocabulary_alone(work, eager, capsys):
    """Of a run of five steps four are there, and the texts or the vocabulary are no longer what they were."""
    names = ("lines.txt", "vocab.txt")
    for name, lines in zip(names, (["The cat sat.", "猫は吾輩。"] * 24, WORDPIECES), strict=True):
        (work / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = [*SMALL, "data=text:lines.txt", "vocabulary=vocab.txt", "evaluation_share=0.5", "mask_rate=0.5"]
    arguments += ["batch_size=4", "checkpoint_every=1", "export=false"]
    assert run(*arguments) == 0
    (work / "run" / "metrics.json").unlink()
    for path in sorted((work / "run" / "checkpoints").iterdir())[1:]:
        shutil.rmtree(path)
    capsys.readouterr()
    for name, changed in zip(names, ("other texts;", "other vocabulary;"), strict=True):
        before = (work / name).read_text(encoding="utf-8")
        (work / name).write_text(before.replace("cat", "sat" if name == "lines.txt" else "dog"), encoding="utf-8")
        assert run(*arguments) == 2
        error = capsys.readouterr().err
        assert changed in error
        assert error.count("\n") == 1
        assert programs.newest_step(work) == 4
        (work / name).write_text(before, encoding="utf-8")
    assert run(*arguments) == 0  # though the files are newer than the run
    assert programs.newest_step(work) == 5


BAD_INPUTS = {
    "unknown data": (["data=sentence"], "data must be markov, sentences or text:FILE_OR_FOLDER; given: 'sentence'"),
    "missing path": (["data=text:nowhere"], "a text file or folder must exist; given: nowhere"),
    "no text files": (["data=text:texts/none"], "a folder of texts must hold *.txt files"),
    "empty corpus": (["data=text:empty.txt"], "the text files must hold some text"),
    "one sentence": (["data=text:one.txt", "vocab_size=300"], "the texts must hold two sentences at least"),
    "short sequences": (["sequence_length=7"], "sequence_length must be at least 8; given: 7"),
    "pairs of no text": (["pair_task=nsp"], "pair_task must be none for data=markov"),
    "filling no text": (["fill=[MASK]"], "fill must be none for data=markov"),
    "export of no text": (["export=true"], "export must be false for data=markov"),
    "nothing to fill": (["data=sentences", "fill=a cat"], "fill must have [MASK] in it; given: 'a cat'"),
    "too long to fill": (["data=sentences", "vocab_size=700", f"fill={99 * '猫'}[MASK]"], "every [MASK] must stand"),
    "no pair task": (["pair_task=next"], "pair_task must be one of nsp, sop, None; given: 'next'"),
    "no vocabulary": (
        ["data=sentences", "vocabulary=no.model"],
        "a vocabulary must be an existing file; given: no.mod",
    ),
    "small vocabulary": (["data=sentences", "vocab_size=50"], "vocab_size must be at least"),
    "no sentences": (["data=sentences", "sentences=nowhere.txt"], "must exist; given: nowhere.txt"),
    "empty sentences": (["data=sentences", "sentences=empty.txt"], "a file of sentences must hold some text"),
    "backbone of pictures": (["backbone=resnet18"], "given: 'resnet18', which reads images"),
    "unknown backbone": (["backbone=bert_bas"], "nearest: bert_base"),
    "mask rate": (["mask_rate=1.1"], "mask_rate must be greater than 0 and at most 1; given: 1.1; take 0.15, say"),
    "all held out": (["evaluation_share=0.6"], "evaluation_share must lie above 0 and up to 0.5; given: 0.6"),
    "batch of replicas": (["strategy=mirrored", "batch_size=13"], "given: 13; nearest: 12"),
    "batch too large": (["data=sentences", "vocab_size=700", "batch_size=5000"], "batch_size must lie in 1.."),
    "unknown key": (["mask_rates=0.1"], "recipe has no key 'mask_rates'; nearest: mask_rate"),
    "no checkpoint": (["initial_weights=none.keras"], "none.keras"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_ends_with_exit_code_2_and_one_line(name, work, capsys):
    (work / "texts" / "none").mkdir(parents=True)
    (work / "empty.txt").write_text("\n \n\n")
    (work / "one.txt").write_text("The only sentence there is.\n")
    arguments, sentence = BAD_INPUTS[name]
    assert run(*SMALL, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1, error
    assert not (work / "run" / "checkpoints").exists()  # nothing was trained


EARLY = {
    "filling by GPT-2": (GPT2, "fill=[MASK]", "fill must be none for a causal model; given: [MASK]"),
    "pairs for GPT-2": (GPT2, "pair_task=nsp", "pair_task must be none for a causal model; given: nsp"),
    "words for GPT-2": (GPT2, "whole_words=true", "whole_words must be false for a causal model; given: True"),
    "going on with BERT": (BERT, "prompt=a", "prompt must be none for a masked model; given: a"),
    "no checkpoint": (BERT, "initial_weights=none.keras", "initial_weights must be an existing file; given: none"),
    "unknown argument": (BERT, "backbone_arguments.depth=3", "takes no argument depth"),
    "unfit argument": (BERT, "backbone_arguments.num_heads=5", "num_heads 5"),
}


@pytest.mark.parametrize("name", EARLY)
def test_what_needs_no_vocabulary_is_refused_before_one_is_trained(name, work, capsys):
    recipe, argument, sentence = EARLY[name]
    assert run(*SMALL, "data=sentences", "vocab_size=700", argument, recipe=recipe) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1, error
    assert not (work / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "question"), [(BERT, f"fill={99 * '猫'}[MASK]"), (GPT2, f"prompt={99 * '猫'}")], ids=["fill", "prompt"]
)
def test_questions_that_are_too_long_are_refused_before_the_texts_are_tokenized(work, capsys, recipe, question):
    (work / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n", encoding="utf-8")
    assert run(*SMALL, "data=sentences", "vocabulary=vocab.txt", question, recipe=recipe) == 2
    assert "tokens" in capsys.readouterr().err
    assert not list((work / "run" / "tokens").iterdir())


def test_refused_recipe_may_be_mended_in_the_same_folder(work, eager, capsys):
    assert run(*SMALL, "data=text:nowhere") == 2
    capsys.readouterr()
    assert run(*SMALL, "steps=1") == 0
