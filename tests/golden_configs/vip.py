"""ViP, from the terms of its authors' code."""

import itertools

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, with_classifier


def vip(config: Config) -> keras.Model:
    """The authors' `VisionPermutator`."""
    segments = tuple(config.take("segments"))
    halves = [after != before for before, after in itertools.pairwise(segments)]
    config.require("transitions", lambda transitions: transitions[: len(halves)] == halves)
    backbone = mt.create_backbone(
        "vip",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        segments=segments,
        mlp_ratios=tuple(config.take("mlp_ratios")),
        branch_bias=config.take("branch_bias"),
    )
    return with_classifier(backbone, config)
