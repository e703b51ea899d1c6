"""RepMLPNet, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def rep_mlp_net(config: Config) -> keras.Model:
    """The authors' `RepMLPNet`, as it is trained or merged (`deploy`)."""
    tiles = zip(config.take("partition_heights"), config.take("partition_widths"), strict=True)
    kernels = config.take("local_kernels")
    backbone = mt.create_backbone(
        "rep_mlp_net",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        tile_sizes=tuple(tiles),
        num_sets=tuple(config.take("share_sets")),
        local_kernels=tuple(kernels) if kernels else None,
        gate_reduction=config.take("global_reduction"),
        deploy=config.take("deploy"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
