"""Wave-MLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier
from tests.golden_configs.cycle_mlp import overlapping_patches


def wave_mlp(config: Config) -> keras.Model:
    """The authors' `WaveNet`."""
    backbone = mt.create_backbone(
        "wave_mlp",
        image_shape(config, "input_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        mlp_ratios=tuple(config.take("mlp_ratios")),
        norm=config.choose("norm", {"batch": "batch", "group": "group"}),
        embedding_norm=config.take("embed_norm"),
        phase=config.choose("phase_mode", {"fc": "dense", "depthwise": "depthwise"}),
        window_size=config.take("token_window"),
        token_bias=config.take("token_fc_bias"),
        **overlapping_patches(config),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
