"""What a trained language model says: fillings of [MASK], perplexity of sentences, and texts that go on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from mixer_tf.checks import require
from mixer_tf.heads.causal_language import is_causal

if TYPE_CHECKING:
    from mixer_tf.data.tokenizers import Tokenizer


def fill_masks(
    model: keras.Model, tokenizer: Tokenizer, text: str, next_text: str | None = None, *, top: int = 5
) -> list[list[tuple[str, float]]]:
    """What the model would put in the place of every [MASK].

    Args:
        model: a `mixer_tf.masked_language_model`.
        tokenizer: that of its training, such as `mixer_tf.data.tokenizers.open_tokenizer` opens.
        text: with [MASK] in it.
        next_text: a second sentence, for a model that was trained on pairs; it may have [MASK], too.
        top: number of fillings for each.

    Returns:
        For each [MASK], in their order, the best pieces with their probabilities, best first. Special tokens, which no
        text has there, are left out.

    Raises:
        ValueError: if there is no [MASK], or one stands behind the end of what the model reads; if the model is causal,
            or has fewer pieces than are wanted.

    Example:
        >>> fill_masks(model, tokenizer, "the cat sat on the [MASK] .", top=2)  # doctest: +SKIP
        [[('mat', 0.61), ('chair', 0.2)]]
    """
    ordinary = np.flatnonzero(~tokenizer.is_special)
    require(not is_causal(model), f"[MASK] must be filled by a model that is not causal; given: {model.name}")
    require(1 <= top <= len(ordinary), f"top must lie in 1..{len(ordinary)}, the ordinary pieces; given: {top}")
    packed, positions = packed_with_masks(model, tokenizer, text, next_text)
    logits = token_logits(model, packed, positions[None])[0]  # [m, v]
    probabilities = _softmax(logits[:, ordinary])
    best = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]
    return [
        [(tokenizer.pieces[ordinary[place]], float(row[place])) for place in places]
        for places, row in zip(best, probabilities, strict=True)
    ]


def packed_with_masks(
    model: keras.Model, tokenizer: Tokenizer, text: str, next_text: str | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A text with [MASK], or two, as int32 [1, t] each, and the places of [MASK], int64 [m].

    Raises:
        ValueError: if there is no [MASK], or one stands behind the end of what the model reads.
    """
    texts, mask = [tokenizer([part]) for part in (text, next_text) if part is not None], tokenizer.special.mask
    packed = _packed(model, tokenizer, *texts)
    wanted = sum(int(np.sum(tokens.flat_values == mask)) for tokens in texts)
    positions = np.flatnonzero(packed["token_ids"][0] == mask)
    require(wanted, f"a text to fill must have [MASK] in it; given: {text!r}")
    require(
        len(positions) == wanted,
        f"every [MASK] must stand within the {packed['token_ids'].shape[1]} tokens that the model reads; given: "
        f"{wanted}, of which {len(positions)} do; shorten the text",
    )
    return packed, positions


def next_probability(model: keras.Model, tokenizer: Tokenizer, text: str, next_text: str) -> float:
    """The probability, in [0, 1], that the second sentence follows the first; of a model with the head for pairs."""
    require(isinstance(model.output, dict), f"a model must be made with next_sentence=True; given: {model.name}")
    packed = _packed(model, tokenizer, tokenizer([text]), tokenizer([next_text]))
    logits = _call(model, packed, np.zeros((1, 1), "int32"))["nsp_logits"]
    return float(_softmax(np.asarray(logits))[0, 0])  # index 0: it follows


def token_logits(model: keras.Model, packed: dict[str, np.ndarray], positions: np.ndarray) -> np.ndarray:
    """The logits `[b, m, v]` of some positions `[b, m]`, whether or not the model gives only those asked for."""
    outputs = _call(model, packed, positions)
    logits = np.asarray(outputs["mlm_logits"] if isinstance(outputs, dict) else outputs)
    if "masked_positions" in model.input:
        return logits
    return np.take_along_axis(logits, positions[:, :, None], axis=1)


def sentence_figures(
    model: keras.Model, tokenizer: Tokenizer, sentences: Sequence[str], *, batch_size: int = 64
) -> dict[str, float]:
    """How well a model predicts sentences, in figures that can be compared between vocabularies.

    A masked language model is asked for one token after the other, all others seen (the pseudo-perplexity of Salazar
    et al. 2020, arXiv 1910.14659); a causal one for each token after those before it.

    Args:
        model: a `mixer_tf.masked_language_model` or a `mixer_tf.causal_language_model`.
        tokenizer: that of its training.
        sentences: texts; what does not fit into the model's length is cut off and not counted.
        batch_size: number of texts that the model sees at once.

    Returns:
        `pseudo_perplexity` or `perplexity`, exp of the mean loss of a token, and `bits_per_character` and
        `bits_per_byte` (UTF-8), the sum of the losses over the size of the texts that were scored, as the tokenizer
        normalizes them.

    Raises:
        ValueError: if there is no token to predict.
    """
    packed = _packed(model, tokenizer, tokenizer(sentences))
    scored = (packed["padding_mask"] == 1) & ~tokenizer.is_special[packed["token_ids"]]
    require(scored.any(), f"sentences must have a token to predict; given: {len(sentences)} without any")
    kept = np.where(scored, packed["token_ids"], tokenizer.special.pad)
    texts = tokenizer.decode_as_in(kept, sentences)
    loss = sum(
        _negative_log(logits, labels).sum()
        for logits, labels in _predictions(model, tokenizer, packed, scored, batch_size)
    )
    bits = loss / math.log(2)
    return {
        "perplexity" if is_causal(model) else "pseudo_perplexity": float(np.exp(loss / scored.sum())),
        "bits_per_character": float(bits / max(1, sum(map(len, texts)))),
        "bits_per_byte": float(bits / max(1, sum(len(text.encode()) for text in texts))),
    }


def sample_text(
    model: keras.Model,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    num_tokens: int = 50,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> str:
    """Let a causal language model go on with a text.

    Args:
        model: a `mixer_tf.causal_language_model`.
        tokenizer: that of its training.
        prompt: the beginning, shorter than what the model reads.
        num_tokens: number of tokens to add at most; the text also ends where the model says so, and where it is as
            long as the model reads.
        temperature: divides the logits; 0 always takes the likeliest token.
        top_k: draw from the k likeliest tokens; None for all.
        top_p: draw from the likeliest tokens that together have this probability, in (0, 1].
        seed: the same seed gives the same text.

    Returns:
        The prompt, as the tokenizer spells it, and what follows it.

    Raises:
        ValueError: if the model is not causal, the prompt is too long or a number lies outside its range.
    """
    require(is_causal(model), f"a text can be continued by a causal language model alone; given: {model.name}")
    require(temperature >= 0, f"temperature must be at least 0; given: {temperature}")
    require(top_k is None or top_k >= 1, f"top_k must be at least 1 or None; given: {top_k}")
    require(0 < top_p <= 1, f"top_p must be in (0, 1]; given: {top_p}")
    packed, end = packed_prompt(model, tokenizer, prompt)
    length = packed["token_ids"].shape[1]
    random, eos = np.random.default_rng(seed), tokenizer.special.eos
    forbidden = tokenizer.is_special & (np.arange(tokenizer.vocab_size) != eos)
    for place in range(end, min(end + num_tokens, length)):
        packed["padding_mask"][:, place:] = 0
        logits = token_logits(model, packed, np.array([[place - 1]]))[0, 0]
        token = _draw(np.where(forbidden, -np.inf, logits), random, temperature, top_k, top_p)
        if token == eos:
            break
        packed["token_ids"][0, place] = token
        packed["padding_mask"][0, place] = 1
        end = place + 1
    return np.asarray(tokenizer.decode(packed["token_ids"][:, 1:end]))[0].decode("utf-8", "replace")


def packed_prompt(model: keras.Model, tokenizer: Tokenizer, prompt: str) -> tuple[dict[str, np.ndarray], int]:
    """A text to go on with, as int32 [1, t] each, and the place behind it.

    Raises:
        ValueError: if it is too long for the model.
    """
    tokens, length = tokenizer([prompt]), model.input["token_ids"].shape[1]
    size = int(tokens.row_lengths()[0])
    require(size <= length - 2, f"prompt must have at most {length - 2} tokens, what the model reads; given: {size}")
    return _packed(model, tokenizer, tokens), size + 1


def _packed(model, tokenizer, *tokens) -> dict[str, np.ndarray]:
    """The tokens of single texts, or of pairs, as the model reads them."""
    from mixer_tf.data.packing import pack_texts

    packed = pack_texts(*tokens, special=tokenizer.special, length=model.input["token_ids"].shape[1])
    return {name: tensor.numpy() for name, tensor in packed.items()}


def _call(model, packed, positions):
    given = {**packed, "masked_positions": positions.astype("int32")}
    return model({name: given[name] for name in model.input}, training=False)


def _predictions(model, tokenizer, packed, scored, batch_size) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits `[n, v]` and labels `[n]` of every scored token, batch by batch."""
    rows, places = np.nonzero(scored)
    if is_causal(model):
        for start in range(0, len(scored), batch_size):
            part = {name: array[start : start + batch_size] for name, array in packed.items()}
            here = scored[start : start + batch_size]
            logits = token_logits(model, part, np.tile(np.arange(here.shape[1] - 1), (len(here), 1)))
            yield logits[here[:, 1:]], part["token_ids"][here]
        return
    for start in range(0, len(rows), batch_size):
        row, place = rows[start : start + batch_size], places[start : start + batch_size]
        part = {name: array[row] for name, array in packed.items()}
        labels = part["token_ids"][np.arange(len(row)), place]
        part["token_ids"][np.arange(len(row)), place] = tokenizer.special.mask
        yield token_logits(model, part, place[:, None])[:, 0], labels


def _negative_log(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    top = logits.max(axis=-1)
    return np.log(np.exp(logits - top[:, None]).sum(axis=-1)) + top - logits[np.arange(len(labels)), labels]


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _draw(logits, random, temperature, top_k, top_p) -> int:
    order = np.argsort(-logits, kind="stable")[: top_k or len(logits)]
    if temperature == 0:
        return int(order[0])
    probabilities = _softmax(logits[order] / temperature)
    before = np.cumsum(probabilities) - probabilities
    probabilities = np.where(before < top_p, probabilities, 0)
    return int(random.choice(order, p=probabilities / probabilities.sum()))
