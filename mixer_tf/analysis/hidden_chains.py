"""Markov chains that are seen through masking: the posterior of every state, by forward and backward messages.

The chains are the rows of a band, which is cut into units that are masked, replaced or kept as a whole. The rows of a
unit are independent but for what was done to it, which is unknown where it is visible, so they are followed together:
a message is an array [n, k^q] over the joint states of the q rows at one column.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mixer_tf.data.markov_chain import MarkovChain

MESSAGE_SIZE = 2**20  # numbers in one message: 8 MB


@dataclasses.dataclass(frozen=True)
class Channel:
    """What masking does to a unit.

    Args:
        rate: probability that a unit is selected.
        random: share of the selected units that show something else.
        kept: share of the selected units that show what they are.
        uniform: whether something else is drawn uniformly from the states; otherwise from independent chains.
    """

    rate: float
    random: float
    kept: float
    uniform: bool


def log_posteriors(chain: MarkovChain, bands: np.ndarray, width: int, channel: Channel) -> np.ndarray:
    """Logarithm of the probability of each state, given the band and that the state's unit is selected.

    Args:
        chain: of every row.
        bands: int [n, q, w], the states that are shown, -1 where masked.
        width: columns of a unit, r; a unit is [q, r].
        channel: what masking does to a unit.

    Returns:
        float64 [n, q, w, k]; NaN where a visible unit cannot be a selected one.
    """
    rows = max(1, MESSAGE_SIZE // chain.num_states ** bands.shape[1])
    results = [np.zeros((*bands[:0].shape, chain.num_states))]
    for start in range(0, len(bands), rows):
        chunk = bands[start : start + rows]
        units = [_Unit(chain, chunk[:, :, i : i + width], channel) for i in range(0, bands.shape[2], width)]
        befores, afters = list(_forward(units)), list(_backward(units))[::-1]
        joint = [unit.posteriors(before, after) for unit, before, after in zip(units, befores, afters, strict=True)]
        results.append(np.concatenate(joint, axis=2))
    with np.errstate(divide="ignore", invalid="ignore"):  # states and units that cannot be
        probabilities = np.concatenate(results)
        return np.log(probabilities / probabilities.sum(axis=-1, keepdims=True))


def _forward(units: Sequence[_Unit]) -> Iterator[np.ndarray]:
    """The messages that reach each unit, at the last column before it."""
    message = units[0].stationary()
    for unit in units:
        yield message
        message = _normalized(unit.forward(message))


def _backward(units: Sequence[_Unit]) -> Iterator[np.ndarray]:
    """The messages that reach each unit from behind, at its own last column; the last unit comes first."""
    message = np.ones_like(units[0].stationary())
    for unit in reversed(units):
        yield message
        message = _normalized(unit.backward(message))


class _Unit:
    """One unit of n bands, shown as int [n, q, r]."""

    def __init__(self, chain: MarkovChain, shown: np.ndarray, channel: Channel):
        self.chain, self.channel = chain, channel
        self.n, self.num_rows, self.width = shown.shape
        self.visible = shown[:, 0, 0] >= 0
        self.shown = np.where(self.visible[:, None, None], shown, 0)  # any state will do where nothing is shown
        base = chain.num_states ** np.arange(self.num_rows)[::-1]
        self.first, self.last = base @ self.shown[:, :, 0].T, base @ self.shown[:, :, -1].T  # joint states, int [n]
        moves = chain.transition[self.shown[:, :, :-1], self.shown[:, :, 1:]]
        self.inside = moves.prod(axis=(1, 2))  # probability of the shown, given its first column
        replacement = chain.stationary[self.shown[:, :, 0]].prod(axis=1) * self.inside
        if channel.uniform:
            replacement = np.full(self.n, chain.num_states ** -float(self.num_rows * self.width))
        self.random_weight = np.where(self.visible, channel.random * replacement, 1.0)

    def stationary(self) -> np.ndarray:
        joint = np.ones(1)
        for _ in range(self.num_rows):
            joint = np.outer(joint, self.chain.stationary).ravel()
        return np.tile(joint, (self.n, 1))

    def forward(self, before: np.ndarray) -> np.ndarray:
        shown = self._at(self._walk(before), self.first) * self.inside
        return self._mixed(self._walk(before, self.width), shown, self.last)

    def backward(self, after: np.ndarray) -> np.ndarray:
        shown = self.inside * self._at(after, self.last)
        return self._walk_back(self._mixed(self._walk_back(after, self.width - 1), shown, self.first))

    def posteriors(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """What each state weighs if the unit is selected, [n, q, r, k]."""
        weights = np.empty((self.n, self.num_rows, self.width, self.chain.num_states))
        for column in range(self.width):
            joint = self._walk(before, column + 1) * self._walk_back(after, self.width - 1 - column)
            joint = joint.reshape(self.n, *[self.chain.num_states] * self.num_rows)
            for row in range(self.num_rows):
                others = tuple(axis for axis in range(1, joint.ndim) if axis != row + 1)
                weights[:, row, column] = joint.sum(axis=others)
        shown = self._at(self._walk(before), self.first) * self.inside * self._at(after, self.last)
        kept = np.where(self.visible, self.channel.kept * shown, 0.0)
        is_shown = self.shown[..., None] == np.arange(self.chain.num_states)
        return weights * self.random_weight[:, None, None, None] + is_shown * kept[:, None, None, None]

    def _mixed(self, unseen, shown, index):
        """A message past a unit that may be something else, or is what it shows: then it is at one joint state."""
        rate, kept = self.channel.rate, self.channel.kept
        selected = np.where(self.visible, rate * self.random_weight, 1.0)
        message = unseen * selected[:, None]
        message[np.arange(self.n), index] += np.where(self.visible, (1 - rate + rate * kept) * shown, 0.0)
        return message

    def _at(self, message, index):
        return message[np.arange(self.n), index]

    def _walk(self, message, steps=1):
        return self._moved(message, self.chain.transition, steps)

    def _walk_back(self, message, steps=1):
        return self._moved(message, self.chain.transition.T, steps)

    def _moved(self, message, matrix, steps):
        joint = message.reshape(self.n, *[len(matrix)] * self.num_rows)
        for _ in range(steps * self.num_rows):
            joint = np.tensordot(joint, matrix, axes=(1, 0))  # one row moves a column, and goes behind the others
        return joint.reshape(message.shape)


def _normalized(message: np.ndarray) -> np.ndarray:
    return message / message.sum(axis=1, keepdims=True)
