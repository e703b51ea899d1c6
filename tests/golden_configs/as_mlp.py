"""AS-MLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def as_mlp(config: Config) -> keras.Model:
    """The authors' `AS_MLP`."""
    depths, width = tuple(config.take("depths")), config.take("dim")
    backbone = mt.create_backbone(
        "as_mlp",
        image_shape(config, "input_size"),
        stage_depths=depths,
        stage_widths=tuple(width * 2**i for i in range(len(depths))),
        patch_size=config.take("patch_size"),
        patch_norm=config.take("patch_norm"),
        shift_size=config.take("shift_size"),
        axial_bias=config.take("axial_bias"),
        mlp_ratio=config.take("mlp_ratio"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
