"""sMLPNet, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def smlp_net(config: Config) -> keras.Model:
    """The authors' `sMLPNet`, each stage twice as wide as the one before."""
    depths, width = tuple(config.take("depths")), config.take("dim")
    backbone = mt.create_backbone(
        "smlp_net",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        stage_depths=depths,
        stage_widths=tuple(width * 2**i for i in range(len(depths))),
        mlp_ratio=config.take("expansion"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
