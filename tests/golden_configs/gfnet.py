"""GFNet, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def gfnet(config: Config) -> keras.Model:
    """The authors' `GFNet` or `GFNetPyramid`."""
    build = config.choose("variant", {"isotropic": isotropic, "hierarchical": hierarchical})
    layer_scale = 1e-5 if config.take("layer_scale") else None
    return with_classifier(build(config, layer_scale=layer_scale, **optional_rules(config)), config)


def isotropic(config: Config, **arguments) -> keras.Model:
    """One grid."""
    hidden_dim = config.take("dim")
    return mt.create_backbone(
        "gfnet",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        num_blocks=config.take("depth"),
        hidden_dim=hidden_dim,
        mlp_dim=int(hidden_dim * config.take("mlp_ratio")),
        **arguments,
    )


def hierarchical(config: Config, **arguments) -> keras.Model:
    """A pyramid."""
    return mt.create_backbone(
        "gfnet_h",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        mlp_ratios=tuple(config.take("mlp_ratios")),
        **arguments,
    )
