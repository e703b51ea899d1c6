"""S2-MLP and S2-MLPv2, from the terms of Jittor-MLP's code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def s2_mlp(config: Config) -> keras.Model:
    """Jittor-MLP's `S2MLPv1`."""
    backbone = mt.create_backbone("s2_mlp", image_shape(config, "input_size"), **stages(config))
    return with_classifier(backbone, config)


def s2_mlp_v2(config: Config) -> keras.Model:
    """Jittor-MLP's `S2MLPv2`, its split attention as wide as the file says."""
    backbone = mt.create_backbone(
        "s2_mlp_v2",
        image_shape(config, "input_size"),
        split_attention_ratio=config.take("split_attention_ratio"),
        **stages(config),
    )
    return with_classifier(backbone, config)


def stages(config: Config) -> dict:
    """What both name alike."""
    return {
        "patch_sizes": tuple(config.take("patch_sizes")),
        "stage_depths": tuple(config.take("depths")),
        "stage_widths": tuple(config.take("stage_dims")),
        "mlp_ratios": tuple(config.take("mlp_ratios")),
        **optional_rules(config),
    }
