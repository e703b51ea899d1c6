"""CycleMLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def cycle_mlp(config: Config) -> keras.Model:
    """The authors' `CycleNet`."""
    backbone = mt.create_backbone(
        "cycle_mlp",
        image_shape(config, "input_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        mlp_ratios=tuple(config.take("mlp_ratios")),
        cycle_kernels=tuple(map(tuple, config.take("cycle_kernels"))),
        channel_bias=config.take("channel_branch_bias"),
        **overlapping_patches(config),
        **optional_rules(config),
    )
    config.require("downsample", {"kernel": 3, "stride": 2, "padding": 1})
    return with_classifier(backbone, config)


def overlapping_patches(config: Config) -> dict:
    """The first convolution, which CycleMLP, Hire-MLP and Wave-MLP have in common."""
    patches = Config(config.take("patch_embed"))
    arguments = {
        "patch_size": patches.take("kernel"),
        "patch_stride": patches.take("stride"),
        "patch_padding": patches.take("padding"),
    }
    patches.done()
    return arguments
