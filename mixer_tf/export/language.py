"""The serving signatures of a language model: what stands at [MASK], or what comes next."""

from __future__ import annotations

import keras
import tensorflow as tf

from mixer_tf.data.packing import pack_texts
from mixer_tf.heads.causal_language import is_causal


def add_language(
    archive: keras.export.ExportArchive, model: keras.Model, tokenizer, top: int, serve_text: bool
) -> None:
    """Add the signatures that `mixer_tf.export` describes; the first is also `serving_default`."""
    length = model.input["token_ids"].shape[1]
    ids = [
        tf.TensorSpec([None, length], tf.int32, name=name)
        for name in ("token_ids", "segment_ids", "padding_mask")
        if name in model.input
    ]

    def serve_tokens(*arrays):
        packed = {spec.name: array for spec, array in zip(ids, arrays, strict=True)}
        (token_ids, probabilities, _), _ = _best(model, tokenizer, packed, top)
        return {"token_ids": token_ids, "probabilities": probabilities}

    if serve_text:
        _add_text(archive, model, tokenizer, top)
    archive.add_endpoint("serve_tokens", serve_tokens, input_signature=ids)


def _add_text(archive, model, tokenizer, top) -> None:
    archive.track(tokenizer)  # the tables of a WordPiece vocabulary; an endpoint tracks variables alone by itself
    length = model.input["token_ids"].shape[1]
    pieces = tf.constant(tokenizer.pieces)
    text = tf.TensorSpec([None], tf.string, name="text")
    next_text = tf.TensorSpec([None], tf.string, name="next_text")

    def in_words(token_ids, probabilities, real):
        return {"pieces": tf.where(real, tf.gather(pieces, token_ids), ""), "probabilities": probabilities}

    def serve_text(text):
        tokens = tokenizer(text)
        if is_causal(model):
            tokens = tokens[:, 2 - length :]  # what comes next follows from the end
        packed = pack_texts(tokens, special=tokenizer.special, length=length)
        return in_words(*_best(model, tokenizer, packed, top)[0])

    def serve_pairs(text, next_text):
        packed = pack_texts(tokenizer(text), tokenizer(next_text), special=tokenizer.special, length=length)
        best, outputs = _best(model, tokenizer, packed, top)
        return {**in_words(*best), "is_next": tf.nn.softmax(outputs["nsp_logits"])[:, 0]}  # index 0: it follows

    archive.add_endpoint("serve_text", serve_text, input_signature=[text])
    if isinstance(model.output, dict):
        archive.add_endpoint("serve_pairs", serve_pairs, input_signature=[text, next_text])


def _best(model, tokenizer, packed, top):
    """The likeliest tokens `[b, m, top]` of each wanted place, their probabilities, which are real; and the outputs.

    m is the largest number of places in a text of the batch; what other texts lack is 0 and not real.
    """
    token_ids = packed["token_ids"]
    if is_causal(model):  # the last token, in front of [EOS]
        last = tf.reduce_sum(packed["padding_mask"], axis=1, keepdims=True) - 2
        wanted = tf.range(tf.shape(token_ids)[1]) == last
    else:
        wanted = token_ids == tokenizer.special.mask
    count = tf.reduce_sum(tf.cast(wanted, tf.int32), axis=1)  # [b]
    most = tf.reduce_max(tf.concat([count, [0]], axis=0))  # 0 for an empty batch
    places = tf.argsort(tf.cast(wanted, tf.int32), direction="DESCENDING", stable=True)[:, :most]  # [b, m]
    inputs = {**packed, "masked_positions": places}
    outputs = model({name: inputs[name] for name in model.input}, training=False)
    logits = outputs["mlm_logits"] if isinstance(outputs, dict) else outputs
    if "masked_positions" not in model.input:
        logits = tf.gather(logits, places, batch_dims=1)
    logits = tf.where(tf.constant(tokenizer.is_special), logits.dtype.min, logits)
    probabilities, best = tf.math.top_k(tf.nn.softmax(logits), top)
    real = (tf.range(most) < count[:, tf.newaxis])[:, :, tf.newaxis]
    return (tf.where(real, best, 0), tf.where(real, probabilities, 0), real), outputs
