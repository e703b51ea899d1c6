"""The layers of a network in the order of its depth: stem, one group per block, and what follows the blocks.

Two recipes of transfer learning need that order: a learning rate that decays towards the input (`layer_decay_scales`)
and frozen lower layers (`freeze`). It is read from the names alone, which are the same for every backbone:
`block3_<part>` in an isotropic network, `stage2_block3_<part>` in a hierarchical one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras

BLOCK = re.compile(r"(?:^|/)((?:stage\d+_)?block\d+)(?=_|/|$)")


def layer_groups(model: keras.Model) -> list[list[keras.Layer]]:
    """List the layers that own weights, group by group from the input to the output.

    Args:
        model: a backbone, or a backbone and its head, with the layer names of this package.

    Returns:
        Group 0 has everything before the first block, then there is one group per block, and the last group has
        everything after the blocks (the last norm and the head). A layer between two blocks, such as the downsampling
        in front of a stage, belongs to the block that follows it.

    Raises:
        ValueError: if no layer is named like a block.

    Example:
        >>> [len(group) for group in layer_groups(model)]  # stem, two blocks, norm and head
        [3, 6, 6, 2]
    """
    layers = [layer for layer in model.layers if layer.weights]
    blocks, numbers = _group([layer.name for layer in layers])
    groups: list[list[keras.Layer]] = [[] for _ in range(len(blocks) + 2)]
    for layer, number in zip(layers, numbers, strict=True):
        groups[number].append(layer)
    return groups


def layer_decay_scales(variables: Sequence[keras.Variable], decay: float) -> list[float]:
    """Give each variable the factor of its learning rate: 1 at the head, times `decay` for every block below.

    This is the rule of ELECTRA (Clark et al. 2020, arXiv 2003.10555) and BEiT (Bao et al. 2021, arXiv 2106.08254):
    with n blocks the head and the last norm get 1, block i of 0..n-1 gets `decay ** (n - i)` and the stem
    `decay ** (n + 1)`. A layer's kernel and bias always get the same factor.

    Args:
        variables: the trainable variables, in the order of the model; only their paths are read.
        decay: factor per block, in (0, 1]. Typical: 0.65 to 0.9.

    Returns:
        One factor per variable, in the order given.

    Raises:
        ValueError: if no variable belongs to a block.

    Example:
        >>> sorted(set(layer_decay_scales(model.trainable_variables, decay=0.5)))  # of two blocks
        [0.125, 0.25, 0.5, 1.0]
    """
    blocks, numbers = _group([variable.path for variable in variables])
    return [decay ** (len(blocks) + 1 - number) for number in numbers]


def freeze(model: keras.Model, up_to: str) -> int:
    """Make the layers from the input up to and including `up_to` untrainable. Compile the model afterwards.

    A frozen BatchNormalization also stops to update its statistics and normalises with them (Keras runs it in inference
    mode); Dropout and drop path stay active, because they own no weights to freeze.

    Args:
        model: a backbone and its head, with the layer names of this package.
        up_to: `"stem"`, a block (`"block3"`, `"stage2_block1"`), a whole stage (`"stage2"`), or `"backbone"`: all but
            the head.

    Returns:
        The number of frozen weights (scalars).

    Raises:
        ValueError: if the model has no part of that name.

    Example:
        >>> freeze(model, up_to="backbone")  # then only the head is trained: linear probing
        4804
    """
    groups = layer_groups(model)
    blocks, _ = _group([layer.name for group in groups for layer in group])
    last_group = {"stem": 0, "backbone": len(blocks)}
    for number, block in enumerate(blocks, start=1):
        stage, _, _ = block.rpartition("_")
        last_group[block] = number
        if stage:
            last_group[stage] = number
    if up_to not in last_group:
        raise ValueError(f"up_to, a recipe's freeze_up_to, must be one of {', '.join(last_group)}; given: {up_to!r}")
    frozen = [layer for group in groups[: last_group[up_to] + 1] for layer in group]
    if up_to == "backbone":  # what follows the blocks is the head, except for the backbone's own last norm
        frozen += [layer for layer in groups[-1] if layer.name == "norm"]
    for layer in frozen:
        layer.trainable = False
    return sum(layer.count_params() for layer in frozen)


def _group(names: list[str]) -> tuple[list[str], list[int]]:
    """The blocks in order of appearance, and each name's group: 0 stem, 1..n blocks, n + 1 after the last block."""
    own_block = [match.group(1) if (match := BLOCK.search(name)) else None for name in names]
    blocks = list(dict.fromkeys(block for block in own_block if block))
    if not blocks:
        raise ValueError(
            "layer groups need layers named block0_<part> or stage1_block1_<part>; "
            f"given: {', '.join(names[:4])}, ...; train this model without layer_decay and freeze"
        )
    first = own_block.index(blocks[0])
    numbers, following = [], len(blocks) + 1
    for index in reversed(range(len(names))):
        if block := own_block[index]:
            following = blocks.index(block) + 1
        numbers.append(following if index >= first else 0)
    return blocks, numbers[::-1]
