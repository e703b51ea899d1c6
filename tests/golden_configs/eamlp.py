"""EAMLP and its two blocks, from the terms of the authors' code."""

import keras

import mixer_tf as mt
from mixer_tf.layers import external_attention as blocks
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def eamlp(config: Config) -> keras.Model:
    """The authors' `T2T_ViT`."""
    config.require("class_token", True)
    config.require("pool", "token")
    config.require("position_embedding", lambda text: text.startswith("fixed sinusoid"))
    config.require("tokenisation", lambda text: text.startswith("T2T: unfold 7/4/2, EA block, unfold 3/2/1, EA block"))
    hidden_dim, mlp_dim = config.take("hidden_dim"), config.take("mlp_dim")
    config.require("mlp_ratio", lambda ratio: int(ratio * hidden_dim) == mlp_dim)
    backbone = mt.create_backbone(
        "eamlp",
        image_shape(config),
        num_blocks=config.take("depth"),
        hidden_dim=hidden_dim,
        num_heads=config.take("num_heads"),
        mlp_dim=mlp_dim,
        memory_units=config.take("memory_units"),
        expansion=config.take("memory_coefficient"),
        stem_dim=config.take("token_dim"),
        stem_memory_units=config.take("token_memory_units"),
        stem_dropout=config.choose("tokens_type", {"performer": 0.1, "transformer": 0.0}),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
        l1_epsilon=config.take("l1_epsilon"),
    )
    return with_classifier(backbone, config)


def external_attention_2d(config: Config) -> keras.Model:
    """The authors' `External_attention`, which EANet has before its last layers."""
    config.require("norm", "batch")
    x = keras.Input((*config.take("feature_size"), config.take("hidden_dim")))
    y = blocks.external_attention_2d(
        x,
        memory_units=config.take("memory_units"),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
        l1_epsilon=config.take("l1_epsilon"),
    )
    return keras.Model(x, y)


def multihead_external_attention(config: Config) -> keras.Model:
    """The authors' `Attention` of `multi_head_attention_torch.py`."""
    x = keras.Input((config.take("num_tokens"), config.take("hidden_dim")))
    y = blocks.multihead_external_attention(
        x,
        config.take("num_heads"),
        memory_units=config.take("memory_units"),
        expansion=config.take("memory_coefficient"),
        l1_epsilon=config.take("l1_epsilon"),
    )
    return keras.Model(x, y)
