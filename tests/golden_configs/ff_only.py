"""FF-only, from the terms of its author's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def ff_only(config: Config) -> keras.Model:
    """The author's `LinearVisionTransformer`, its number of tokens passed through."""
    config.require("class_token", True)
    config.require("pool", "token")
    config.require("block_order", lambda text: text.startswith("channel FF first"))
    config.require("position_embedding", lambda text: text.startswith("class position (1,1,D) + grid (1,D,gh,gw)"))
    shape, patch_size = image_shape(config), config.take("patch_size")
    num_tokens = 1 + (shape[0] // patch_size) * (shape[1] // patch_size)
    hidden_dim, channels_mlp_dim = config.take("hidden_dim"), config.take("channel_mlp_dim")
    tokens_mlp_dim = config.take("token_mlp_dim")
    config.require("num_tokens", num_tokens)
    config.require(
        "mlp_ratio",
        lambda ratio: (int(ratio * hidden_dim), int(ratio * num_tokens)) == (channels_mlp_dim, tokens_mlp_dim),
    )
    backbone = mt.create_backbone(
        "ff_only",
        shape,
        patch_size=patch_size,
        num_blocks=config.take("depth"),
        hidden_dim=hidden_dim,
        tokens_mlp_dim=tokens_mlp_dim,
        channels_mlp_dim=channels_mlp_dim,
        pretrained_grid=tuple(config.take("position_grid")),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
    )
    return with_classifier(backbone, config)
