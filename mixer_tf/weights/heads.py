"""Which layers belong to a head, and when the head of a file is not that of a model."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

HEAD = "head"

_MASKED_IMAGE = ("mask_tile", "head_patches")

TASK_LAYERS = (HEAD, *_MASKED_IMAGE, "detector_scores")
"""What belongs to one set of classes, or one size of patches: `skip_head` leaves it alone."""

DETECTION = "detector_.+"

PRETRAINING_LAYERS = (*_MASKED_IMAGE, "head_dense", "head_bias", "next_sentence")
"""What only a model that predicts what is masked has."""

HEAD_LAYERS = (
    *(HEAD, "head_norm", "pre_logits", "head_level{i}_norm", "head_level{i}_projection"),  # of classifiers
    *(*PRETRAINING_LAYERS, "pooler", DETECTION),
)


@functools.cache
def is_head_layer(name: str) -> bool:
    """Whether a layer of that name belongs to a head."""
    return any(re.fullmatch(template.replace("{i}", "[0-9]+"), name) for template in HEAD_LAYERS)


def owner(name: str) -> str:
    """The layer in our own name of a variable, `layer/variable`; empty for other names."""
    return name.rpartition("/")[0]


def heads_differ(layers: Collection[str], arrays: Iterable[str], *, own_names: bool) -> bool:
    """Whether only the backbone of a file belongs to a model, because their heads are of different kinds.

    A file whose arrays go by our own names tells of what kind its model was. Without any head, it can only be meant
    for the backbone; a head of pretraining is of no use to a model that does something else, nor are a detector's
    pyramid and head, and to a detector no other head is of use.

    Args:
        layers: names of the model's layers that own weights.
        arrays: names in the file.
        own_names: whether the file is in the package's own layout.
    """
    stored = {owner(name) for name in arrays}
    headless = own_names and bool(stored) and not any(map(is_head_layer, stored))
    pretrained, pretraining = (not set(PRETRAINING_LAYERS).isdisjoint(names) for names in (stored, layers))
    detected, detecting = (any(re.fullmatch(DETECTION, name) for name in names) for names in (stored, layers))
    return headless or (pretrained and not pretraining) or (own_names and detected != detecting)
