"""ViP, from the terms of its authors' code."""

import itertools

import keras

import mixer_tf as mt
from tests.golden_configs.config import Config, image_shape, optional_rules, with_classifier


def vip(config: Config) -> keras.Model:
    """The authors' `VisionPermutator`."""
    segments = tuple(config.take("segments"))
    halves = [after != before for before, after in itertools.pairwise(segments)]
    # one for each stage but the last, whose own means nothing
    config.require("transitions", lambda given: given in (halves, [*halves, False], [*halves, True]))
    backbone = mt.create_backbone(
        "vip",
        image_shape(config, "input_size"),
        patch_size=config.take("patch_size"),
        stage_depths=tuple(config.take("depths")),
        stage_widths=tuple(config.take("stage_dims")),
        segments=segments,
        mlp_ratios=tuple(config.take("mlp_ratios")),
        branch_bias=config.take("branch_bias"),
        **optional_rules(config),
    )
    return with_classifier(backbone, config)
