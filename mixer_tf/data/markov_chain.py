"""Stationary Markov chains: their entropies, and fast draws that are functions of a seed."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require, require_type

CONCENTRATION = 0.25  # of the Dirichlet distribution of the rows: few successors are likely
FLOOR = 0.02  # share of a uniform draw in every step, so that nothing is impossible


@dataclasses.dataclass(frozen=True, eq=False)
class MarkovChain:
    """A stationary Markov chain over k states; entropies are in nats.

    Args:
        transition: float64 [k, k], the probability of each next state (column) after each state (row); all positive.

    Raises:
        ValueError: If the rows are not distributions with positive probabilities only.

    Example:
        >>> chain = MarkovChain.from_seed(16, seed=0)
        >>> round(chain.entropy(1), 4), round(chain.stationary_entropy, 4)
        (1.8832, 2.6464)
    """

    transition: np.ndarray

    def __post_init__(self):
        transition = np.array(self.transition, np.float64)
        require(
            transition.ndim == 2
            and transition.shape[0] == transition.shape[1] >= 2
            and (transition > 0).all()
            and np.allclose(transition.sum(axis=1), 1, rtol=0, atol=1e-9),
            "transition must be a square matrix from 2x2 on with positive entries and rows that sum to 1; given: "
            f"{transition.tolist()}",
        )
        transition.flags.writeable = False
        object.__setattr__(self, "transition", transition)

    @classmethod
    def from_seed(cls, num_states: int, *, seed: int = 0) -> MarkovChain:
        """Draw a chain: rows of a Dirichlet distribution, mixed with a little of the uniform one."""
        require_type("num_states", num_states, int)
        require(num_states >= 2, f"num_states must be 2 or more; given: {num_states}")
        _require_seed(seed)
        rows = np.random.default_rng(seed).dirichlet(np.full(num_states, CONCENTRATION), num_states)
        return cls((1 - FLOOR) * rows + FLOOR / num_states)

    @property
    def num_states(self) -> int:
        """Number of states, k."""
        return len(self.transition)

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """Probability of each state far from the start, and here at the start too, float64 [k]."""
        equations = np.vstack([self.transition.T - np.eye(self.num_states), np.ones(self.num_states)])
        return np.linalg.lstsq(equations, np.append(np.zeros(self.num_states), 1.0), rcond=None)[0]

    @property
    def stationary_entropy(self) -> float:
        """Entropy of one state of which nothing is known: the loss of who looks at no other."""
        return float(-np.sum(self.stationary * np.log(self.stationary)))

    def entropy(self, step: int) -> float:
        """Entropy of the state that stands `step` (1 or more) after a known one; that of step 1 is the entropy rate."""
        require(step >= 1, f"step must be 1 or more; given: {step}")
        after = np.linalg.matrix_power(self.transition, step)
        return float(-np.sum(self.stationary[:, np.newaxis] * after * np.log(after)))

    def sample(self, length: int, seed: tf.Tensor) -> tf.Tensor:
        """Draw int32 [length] states, from the stationary distribution on; a function of the seed, an int [2]."""
        return self.walk(tf.random.stateless_uniform([length], seed, dtype=tf.float64))

    def walk(self, uniform: tf.Tensor) -> tf.Tensor:
        """Turn draws from [0, 1), float64 [..., t], into as many chains of states, int32 [..., t].

        A draw decides for every state which one comes next, so all steps are looked up at once, as t tables from the
        state before to the state after, and tables are joined in pairs: log2(t) operations instead of t.
        """
        first = _count_below(uniform[..., :1, tf.newaxis], np.cumsum(self.stationary))  # [..., 1, 1]
        after = _count_below(uniform[..., 1:, tf.newaxis], np.cumsum(self.transition, axis=1))  # [..., t - 1, k]
        anywhere = tf.zeros([self.num_states], tf.int32)
        tables = tf.concat([first + anywhere, after], axis=-2)  # [..., t, k]
        span = 1  # how many steps each table covers, once there are so many before it
        while span < tables.shape[-2]:
            joined = tf.gather(tables[..., span:, :], tables[..., :-span, :], batch_dims=tables.shape.rank - 1)
            tables = tf.concat([tables[..., :span, :], joined], axis=-2)
            span *= 2
        return tables[..., 0]


def _count_below(uniform: tf.Tensor, cumulated: np.ndarray) -> tf.Tensor:
    """Inverse of the distributions [..., k] at the draws: how many of the first k - 1 sums a draw reaches, int32."""
    return tf.reduce_sum(tf.cast(uniform[..., tf.newaxis] >= cumulated[..., :-1], tf.int32), axis=-1)


def _require_seed(seed: int) -> None:
    require_type("seed", seed, int)
    require(seed >= 0, f"seed must be 0 or more; given: {seed}")
