"""Hire-MLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier
from tests.golden_configs.cycle_mlp import overlapping_patches


def hire_mlp(config: Config) -> keras.Model:
    """The authors' `HireMLPNet`."""
    config.require("step_padding", "circular")
    config.require("region_padding", "circular")
    backbone = mt.create_backbone(
        "hire_mlp",
        image_shape(config, "input_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        mlp_ratios=tuple(config.take("mlp_ratios")),
        region_sizes=tuple(config.take("region_sizes")),
        step_periods=tuple(config.take("step_period")),
        step_sizes=tuple(config.take("step_size")),
        **overlapping_patches(config),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
