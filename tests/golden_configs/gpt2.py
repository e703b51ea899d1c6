"""GPT-2, from the terms of transformers' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config


def gpt2(config: Config) -> keras.Model:
    """transformers' `GPT2LMHeadModel`."""
    config.require("norm_position", "pre", "pre")
    config.require("causal", True, True)
    config.require("mask", lambda text: text.startswith("1 = real token"), "1 = real token")
    config.take("padded", None)  # only says what the file's mask is like
    decoder = mt.create_backbone(
        "gpt2",
        sequence_length=config.take("sequence_length"),
        vocab_size=config.take("vocab_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        num_heads=config.take("num_heads"),
        mlp_dim=config.take("mlp_dim"),
        max_positions=config.take("max_positions"),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
    )
    config.require("tied_head", True)
    return mt.causal_language_model(decoder)
