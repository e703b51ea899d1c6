"""ConvMLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def conv_mlp(config: Config) -> keras.Model:
    """The authors' `ConvMLP`."""
    backbone = mt.create_backbone(
        "conv_mlp",
        image_shape(config, "input_size"),
        conv_depth=config.take("conv_blocks"),
        stem_dim=config.take("stem_channels"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        mlp_ratios=tuple(config.take("mlp_ratios")),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
