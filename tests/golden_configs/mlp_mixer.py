"""MLP-Mixer, from the terms of timm's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def mlp_mixer(config: Config) -> keras.Model:
    """timm's `MlpMixer` of `MixerBlock`."""
    backbone = mt.create_backbone(
        "mlp_mixer",
        image_shape(config),
        patch_size=config.take("patch_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        tokens_mlp_dim=config.take("token_mlp_dim"),
        channels_mlp_dim=config.take("channel_mlp_dim"),
        activation=config.choose("activation", ACTIVATIONS),
        gated=config.take("gated", False),
        norm_epsilon=config.take("norm_epsilon"),
    )
    return with_classifier(backbone, config)
