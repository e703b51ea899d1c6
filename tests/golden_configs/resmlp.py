"""ResMLP, from the terms of timm's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def resmlp(config: Config) -> keras.Model:
    """timm's `MlpMixer` of `ResBlock`."""
    config.require("norm", lambda text: text.startswith("affine"))
    backbone = mt.create_backbone(
        "resmlp",
        image_shape(config),
        patch_size=config.take("patch_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        channels_mlp_dim=config.take("channel_mlp_dim"),
        layer_scale=config.take("layer_scale"),
        activation=config.choose("activation", ACTIVATIONS),
    )
    return with_classifier(backbone, config)
