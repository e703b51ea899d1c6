"""ResNet, from the terms of timm's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


def resnet(config: Config) -> keras.Model:
    """timm's `ResNet`."""
    config.require("stride_position", lambda text: "3x3" in text)
    config.require("shortcut", lambda text: text.startswith("1x1 convolution + BN"))
    block = config.take("block")
    if block == "basic":
        config.require("expansion", 1, 1)
    backbone = mt.create_backbone(
        "resnet",
        image_shape(config),
        block=block,
        stage_depths=tuple(config.take("stage_depths")),
        stage_widths=tuple(config.take("stage_widths")),
        stem_dim=config.take("stem_dim"),
        expansion=config.take("expansion", 1),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
    )
    return with_classifier(backbone, config)
