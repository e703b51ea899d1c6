"""EANet, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules


def eanet(config: Config) -> keras.Model:
    """The authors' `EANet`, with its head where the file has classes."""
    config.require("output_stride", 8, 8)
    backbone = mt.create_backbone(
        "eanet",
        image_shape(config),
        stage_depths=tuple(config.take("stage_depths")),
        stage_widths=tuple(config.take("stage_widths")),
        stem_dim=config.take("stem_dim"),
        expansion=config.take("expansion"),
        multi_grid=tuple(config.take("multi_grid")),
        attention_dim=config.take("attention_dim"),
        memory_units=config.take("memory_units"),
        output_dim=config.take("output_dim"),
        **optional_rules(config),
    )
    num_classes = config.take("num_classes")
    return mt.segmenter(backbone, num_classes) if num_classes else backbone
