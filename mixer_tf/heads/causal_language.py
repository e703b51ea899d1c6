"""The head that GPT-2 is trained with: which token comes next."""

import keras
from keras import layers

from mixer_tf.heads.masked_language import table_of_tokens
from mixer_tf.keras_fixes import Model


def causal_language_model(decoder: keras.Model, *, name: str | None = None) -> keras.Model:
    """Put a head on a decoder of text that says which token follows each; logits in float32, without softmax.

    The logits `[b, t, vocab_size]` at position i are for the token at i + 1: the product with the decoder's own table
    of tokens, without a bias. The head owns no weights.

    Args:
        decoder: a causal model from `mixer_tf.create_backbone`, such as `"gpt2"`.
        name: name of the model; None for the decoder's with `_causal_language_model`.

    Raises:
        ValueError: when the decoder reads no text, or its tokens see those that follow, which would give the answer
            away.

    Example:
        >>> import mixer_tf as mt
        >>> decoder = mt.create_backbone("gpt2", sequence_length=16, vocab_size=100, num_blocks=2)
        >>> mt.causal_language_model(decoder).output.shape
        (None, 16, 100)
    """
    table = table_of_tokens(decoder)
    if not is_causal(decoder):
        raise ValueError(
            f"a causal language model must continue a causal decoder, such as gpt2; given: {decoder.name}, whose "
            "tokens see those that follow: use mixer_tf.masked_language_model"
        )
    logits = layers.Identity(dtype="float32", name="head")(table(decoder.output, reverse=True))  # [b, t, v]
    return Model(decoder.input, logits, name=name or f"{decoder.name}_causal_language_model")


def is_causal(model: keras.Model) -> bool:
    """Whether each token sees only those before it, in a decoder or a model with a head."""
    return "causal_mask" in {layer.name for layer in model.layers}
