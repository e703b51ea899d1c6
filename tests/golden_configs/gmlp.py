"""gMLP, from the terms of timm's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def gmlp(config: Config) -> keras.Model:
    """timm's `MlpMixer` of `SpatialGatingBlock`."""
    backbone = mt.create_backbone(
        "gmlp",
        image_shape(config),
        patch_size=config.take("patch_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        ffn_dim=config.take("ffn_dim"),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
        gate_norm_epsilon=config.take("gate_norm_epsilon"),
    )
    return with_classifier(backbone, config)
