"""The serving signatures of a language model: what stands at [MASK], or what comes next."""

from __future__ import annotations

import keras
import tensorflow as tf

from mixer_tf.data.packing import pack_texts


def add_language(archive: keras.export.ExportArchive, model: keras.Model, tokenizer, top: int) -> None:
    """Add `serve_text` (which is also `serving_default`), `serve_tokens`, and `serve_pairs` for a model of pairs.

    `serve_text` needs the operations of tensorflow-text, which TensorFlow Serving has; `serve_tokens` does not.
    """
    length = model.input["token_ids"].shape[1]
    pieces, special = tf.constant(tokenizer.pieces), tokenizer.special
    names = [name for name in ("token_ids", "segment_ids", "padding_mask") if name in model.input]
    text = tf.TensorSpec([None], tf.string, name="text")
    next_text = tf.TensorSpec([None], tf.string, name="next_text")

    def answers(packed):
        token_ids, probabilities, outputs = _best(model, tokenizer, packed, top)
        return {"token_ids": token_ids, "probabilities": probabilities}, outputs

    def in_words(result):
        found = tf.gather(pieces, result["token_ids"])
        return {
            "pieces": tf.where(result["probabilities"] > 0, found, ""),
            "probabilities": result["probabilities"],
        }

    def serve_text(text):
        return in_words(answers(pack_texts(tokenizer(text), special=special, length=length))[0])

    def serve_pairs(text, next_text):
        packed = pack_texts(tokenizer(text), tokenizer(next_text), special=special, length=length)
        result, outputs = answers(packed)
        return {**in_words(result), "is_next": tf.nn.softmax(outputs["nsp_logits"])[:, 0]}  # index 0: it follows

    def serve_tokens(*arrays):
        return answers(dict(zip(names, arrays, strict=True)))[0]

    archive.add_endpoint("serving_default", serve_text, input_signature=[text])
    archive.add_endpoint("serve_text", serve_text, input_signature=[text])
    ids = [tf.TensorSpec([None, length], tf.int32, name=name) for name in names]
    archive.add_endpoint("serve_tokens", serve_tokens, input_signature=ids)
    if "nsp_logits" in model.output_names:
        archive.add_endpoint("serve_pairs", serve_pairs, input_signature=[text, next_text])


def _best(model, tokenizer, packed, top):
    """The likeliest tokens `[b, m, top]` of each wanted place, their probabilities, and all that the model says.

    m is the largest number of places in a text of the batch; other texts have zeros in their place.
    """
    token_ids = packed["token_ids"]
    if "causal_mask" in {layer.name for layer in model.layers}:  # the last token, in front of [EOS]
        last = tf.reduce_sum(packed["padding_mask"], axis=1, keepdims=True) - 2
        wanted = tf.range(tf.shape(token_ids)[1]) == last
    else:
        wanted = token_ids == tokenizer.special.mask
    count = tf.reduce_sum(tf.cast(wanted, tf.int32), axis=1)  # [b]
    most = tf.reduce_max(tf.concat([count, [0]], axis=0))  # 0 for an empty batch
    places = tf.argsort(tf.cast(wanted, tf.int32), direction="DESCENDING", stable=True)[:, :most]  # [b, m]
    outputs = model({name: {**packed, "masked_positions": places}[name] for name in model.input}, training=False)
    logits = outputs["mlm_logits"] if isinstance(outputs, dict) else outputs
    if "masked_positions" not in model.input:
        logits = tf.gather(logits, places, batch_dims=1)
    logits = tf.where(tf.constant(tokenizer.is_special), logits.dtype.min, logits)
    probabilities, best = tf.math.top_k(tf.nn.softmax(logits), top)
    real = (tf.range(most) < count[:, tf.newaxis])[:, :, tf.newaxis]
    return tf.where(real, best, 0), tf.where(real, probabilities, 0), outputs
