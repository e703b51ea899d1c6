"""Tokenisers: text to ids of pieces and back."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """The ids of the tokens that stand for no text."""

    pad: int
    unknown: int
    cls: int
    sep: int
    eos: int
    mask: int
