"""BERT, from the terms of transformers' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config

HEADS = {"masked_lm": {"mlm_logits"}, "next_sentence": {"nsp_logits", "pooled"}, "pooler": {"pooled"}}
"""First word of a head -> the outputs that need it."""


def bert(config: Config) -> keras.Model:
    """transformers' `BertForPreTraining`, or with fewer heads `BertForMaskedLM`, `BertModel` and so on."""
    config.require("norm_position", "post", "post")
    config.require("mask", lambda text: text.startswith("1 = real token"), "1 = real token")
    activation, norm_epsilon = config.choose("activation", ACTIVATIONS), config.take("norm_epsilon")
    encoder = mt.create_backbone(
        "bert",
        sequence_length=config.take("sequence_length"),
        vocab_size=config.take("vocab_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        num_heads=config.take("num_heads"),
        mlp_dim=config.take("mlp_dim"),
        max_positions=config.take("max_positions"),
        num_segments=config.take("num_segments"),
        activation=activation,
        norm_epsilon=norm_epsilon,
    )
    config.take("padded", None)  # only says what the file's mask is like
    heads = {head.split()[0] for head in config.take("heads", [])}
    if unknown := heads - HEADS.keys():
        raise ValueError(f"config 'heads' must be of {', '.join(HEADS)}; given: {', '.join(unknown)}")
    arguments = {"activation": activation, "norm_epsilon": norm_epsilon}
    if heads <= {"masked_lm"}:
        return mt.masked_language_model(encoder, **arguments) if heads else encoder
    model = mt.masked_language_model(encoder, next_sentence=True, **arguments)
    kept = set().union({"sequence"}, *(HEADS[head] for head in heads))
    outputs = {**model.output, "pooled": model.get_layer("pooler").output, "sequence": encoder.output}
    return keras.Model(model.input, {name: tensor for name, tensor in outputs.items() if name in kept})
