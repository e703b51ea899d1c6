"""The exact losses of a model that knows the Markov chain; no other does better. In nats per token, in float64.

With [MASK] at every selected token, only the nearest visible tokens tell something, and the mean loss has a closed
form. With random and kept tokens it has none, but the posterior of each token of a given sequence is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixer_tf.analysis.hidden_chains import Channel, log_posteriors
from mixer_tf.checks import require, require_rate

if TYPE_CHECKING:
    from mixer_tf.data.markov_chain import MarkovChain

MAX_JOINT_STATES = 2**16  # of the rows of a unit
SHARES = (0.8, 0.1, 0.1)


def next_token_bayes_loss(chain: MarkovChain, length: int) -> float:
    """Mean loss per token of the best causal model over `length` tokens, the first of which has none before it."""
    require(length >= 1, f"length must be 1 or more; given: {length}")
    return (chain.stationary_entropy + (length - 1) * chain.entropy(1)) / length


def masked_bayes_loss(chain: MarkovChain, length: int, rate: float, block: int = 1) -> float:
    """Mean loss per selected token of the best model, when everything selected is shown as [MASK].

    Between visible tokens at distances a and b, a token has the entropy `H_a + H_b - H_(a+b)`, where H_d is the entropy
    of a token d steps from a known one; with one of them only, `H_a`. The mean is over positions and selections.

    Args:
        chain: the source.
        length: tokens of a sequence, a multiple of block.
        rate: probability that a block is selected, each on its own, in (0, 1].
        block: consecutive tokens that are selected together: 1 for text, the patches along a unit for images.

    Raises:
        ValueError: when the rate is no probability above 0, or the length no multiple of the block.

    Example:
        >>> from mixer_tf.data.markov_chain import MarkovChain
        >>> round(masked_bayes_loss(MarkovChain.from_seed(16), length=32, rate=0.15), 4)
        1.4474
    """
    require_rate("rate", rate)
    require(
        block >= 1 and length >= block and length % block == 0,
        f"length must be a positive multiple of block {block}; given: {length}",
    )
    entropy = np.array([0.0] + [chain.entropy(distance) for distance in range(1, length + 1)])
    losses = []
    for position in range(length):
        a, chance_a, none_left = _nearest_visible(position, rate, block)
        b, chance_b, none_right = _nearest_visible(length - 1 - position, rate, block)
        between = entropy[a][:, np.newaxis] + entropy[b] - entropy[a[:, np.newaxis] + b]
        losses.append(
            chance_a @ between @ chance_b
            + none_right * (chance_a @ entropy[a])
            + none_left * (chance_b @ entropy[b])
            + none_left * none_right * chain.stationary_entropy
        )
    return float(np.mean(losses))


def masked_log_posteriors(
    chain: MarkovChain, observed: np.ndarray, *, rate: float, shares: tuple[float, float, float] = SHARES
) -> np.ndarray:
    """What the best model says of each token of a text, given that this token is selected.

    Which of the other visible tokens are selected is as unknown to it as to any model.

    Args:
        chain: the source.
        observed: int [n, t], the states that are shown, -1 for [MASK].
        rate: probability that a token is selected, each on its own, in (0, 1].
        shares: of the selected tokens that are shown as [MASK], as a state drawn uniformly from all, and as they are.

    Returns:
        Logarithm of the probability of each state, float64 [n, t, k]. NaN where a visible token cannot have been
        selected, as without random and kept tokens.

    Raises:
        ValueError: when rate or shares are no probabilities, or something is observed that cannot be shown.

    Example:
        >>> from mixer_tf.data.markov_chain import MarkovChain
        >>> chain = MarkovChain(np.array([[0.9, 0.1], [0.2, 0.8]]))
        >>> np.exp(masked_log_posteriors(chain, np.array([[0, -1, 0]]), rate=0.15))[0, 1].round(3)
        array([0.974, 0.026])
    """
    observed = np.asarray(observed)
    _check(chain, observed, "[n, t]", rate, shares)
    channel = Channel(rate, random=shares[1], kept=shares[2], uniform=True)
    return log_posteriors(chain, observed[:, np.newaxis], 1, channel)[:, 0]


def masked_image_log_posteriors(
    chain: MarkovChain,
    observed: np.ndarray,
    *,
    unit: int,
    rate: float,
    shares: tuple[float, float, float] = SHARES,
) -> np.ndarray:
    """What the best model says of each patch of pictures whose rows are chains, given that its unit is selected.

    Args:
        chain: the source of every row.
        observed: int [n, h, w], the states that are shown, -1 for the mask tile.
        unit: side of the squares of patches that are selected together, r; h and w are multiples of it.
        rate: probability that a unit is selected, each on its own, in (0, 1].
        shares: of the selected units that are shown as the tile, as a unit of another picture, and as they are.

    Returns:
        Logarithm of the probability of each state, float64 [n, h, w, k]; NaN as in `masked_log_posteriors`.

    Raises:
        ValueError: when rate or shares are no probabilities, something is observed that cannot be shown, the grid is
            no multiple of the unit, a unit is masked in part, or k^r is beyond 65,536.
    """
    observed = np.asarray(observed)
    _check(chain, observed, "[n, h, w]", rate, shares)
    _check_units(chain, observed, unit)
    n, height, width = observed.shape
    channel = Channel(rate, random=shares[1], kept=shares[2], uniform=False)
    bands = observed.reshape(n * (height // unit), unit, width)
    return log_posteriors(chain, bands, unit, channel).reshape(n, height, width, chain.num_states)


def fits_joint_states(chain: MarkovChain, unit: int) -> bool:
    """Whether units of so many rows of patches can be followed: their joint states are few enough."""
    return chain.num_states**unit <= MAX_JOINT_STATES


def _nearest_visible(tokens, rate, block):
    """Distances to the nearest visible of the `tokens` on one side, the chance of each, and the chance of none."""
    masked_blocks = np.arange(tokens // block)  # whole ones on the way to it
    distances = tokens % block + masked_blocks * block + 1  # beyond the rest of the token's own block
    return distances, (1 - rate) * rate**masked_blocks, rate ** (tokens // block)


def _check(chain, observed, shape, rate, shares):
    require_rate("rate", rate)
    require(
        len(shares) == 3 and min(shares) >= 0 and abs(sum(shares) - 1) < 1e-9,
        f"shares must be three parts of 1: masked, random, kept; given: {shares}",
    )
    require(
        observed.ndim == shape.count(",") + 1 and observed.size > 0 and np.issubdtype(observed.dtype, np.integer),
        f"observed must be integers {shape}, at least one; given: {observed.dtype} {list(observed.shape)}",
    )
    low, high = observed.min(), observed.max()
    require(
        low >= -1 and high < chain.num_states,
        f"observed must be states from 0 to {chain.num_states - 1}, or -1 where masked; given: {low} to {high}",
    )
    require(
        (shares[0] > 0 or low >= 0) and (rate * shares[0] < 1 or high < 0),
        f"observed must be what rate {rate} and shares {shares} can show; given: tokens from {low} to {high}",
    )


def _check_units(chain, observed, unit):
    n, height, width = observed.shape
    require(
        unit >= 1 and height % unit == width % unit == 0,
        f"the grid must be multiples of unit {unit}; given: {height}x{width}",
    )
    require(
        fits_joint_states(chain, unit),
        f"num_states to the power of unit must be at most {MAX_JOINT_STATES}; given: {chain.num_states} and {unit}; "
        "take fewer colours or a smaller unit",
    )
    masked = (observed < 0).reshape(n, height // unit, unit, width // unit, unit).mean(axis=(2, 4))
    require(np.isin(masked, (0, 1)).all(), f"a unit of {unit}x{unit} patches must be masked as a whole or not at all")
