"""MS-MLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def ms_mlp(config: Config) -> keras.Model:
    """The authors' `MS_MLP`."""
    depths, width = tuple(config.take("depths")), config.take("dim")
    distances = tuple(config.take("shift_distances"))
    config.require("groups", len(distances))
    backbone = mt.create_backbone(
        "ms_mlp",
        image_shape(config, "input_size"),
        stage_depths=depths,
        stage_widths=tuple(width * 2**i for i in range(len(depths))),
        mix_kernels=tuple(map(tuple, config.take("mix_kernels"))),
        shift_distances=distances,
        patch_size=config.take("patch_size"),
        mlp_ratio=config.take("mlp_ratio"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
