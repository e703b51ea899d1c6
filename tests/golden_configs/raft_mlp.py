"""RaftMLP, from the terms of its authors' code."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def raft_mlp(config: Config) -> keras.Model:
    """The authors' `RaftMLP`."""
    embedding = config.choose("embedding", {"multi_scale": "multi_scale", "patch_linear": "patch_linear"})
    kernels = config.take("embedding_kernels", None)
    if embedding == "patch_linear":
        if kernels and kernels != [None] * len(config["depths"]):
            raise ValueError(
                f"config 'embedding_kernels' must be null for every stage of patch_linear; given: {kernels}"
            )
        kernels = None
    token_mixing = config.choose("token_mixing", {"ser_pm": "raft", "original_tm": "mixer", "org_mixer": "mixer"})
    depths, raft_sizes = config.take("depths"), config.take("raft_sizes", None)
    if token_mixing == "mixer":  # no rafts
        raft_sizes = [1] * len(depths)
    backbone = mt.create_backbone(
        "raft_mlp",
        image_shape(config, "input_size"),
        stage_depths=tuple(depths),
        stage_widths=tuple(config.take("stage_dims")),
        patch_sizes=tuple(config.take("patch_sizes")),
        raft_sizes=tuple(raft_sizes),
        embedding_kernels=tuple(map(tuple, kernels)) if kernels else None,
        token_mixing=token_mixing,
        tokens_mlp_ratio=config.take("token_expansion"),
        channels_mlp_ratio=config.take("channel_expansion"),
        pretrained_image_size=config.take("pretrained_image_size"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config, pool="multi_level" if config.take("multi_level_head") else "average")
