"""Masking in NumPy, and what it tells by plain enumeration: the truth that the exact losses are compared with."""

import itertools
from collections import defaultdict

import numpy as np

from mixer_tf.data.markov_chain import MarkovChain

CHAINS = {
    2: MarkovChain(np.array([[0.9, 0.1], [0.3, 0.7]])),
    3: MarkovChain(np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8], [0.5, 0.25, 0.25]])),
}


def probability(chain, rows):
    """Of rows [q, t] of states, as independent chains."""
    starts = chain.stationary[rows[:, 0]].prod()
    return starts * chain.transition[rows[:, :-1], rows[:, 1:]].prod()


def contents(chain, shape):
    """Every content [q, t] of a shape, with its probability."""
    for states in itertools.product(range(chain.num_states), repeat=int(np.prod(shape))):
        rows = np.array(states).reshape(shape)
        yield rows, probability(chain, rows)


def enumerated_posteriors(chain, *, shape, width, rate, shares, uniform):
    """Of every band [q, w] that can be shown, as a tuple: the posterior of each state, [q, w, k].

    Goes through all bands, all kinds of all units and all replacements.
    """
    units = list(contents(chain, (shape[0], width)))
    masked, random, kept = shares
    replacements = [(rate * random * (1 / len(units) if uniform else p), rows, True) for rows, p in units]
    joint = defaultdict(lambda: np.zeros((*shape, chain.num_states)))
    for rows, p in contents(chain, shape):
        truth = np.eye(chain.num_states)[rows]
        parts = np.split(rows, shape[1] // width, axis=1)
        ways = [
            [(1 - rate, x, False), (rate * masked, 0 * x - 1, True), (rate * kept, x, True), *replacements]
            for x in parts
        ]
        for way in itertools.product(*ways):
            weight = p * np.prod([chance for chance, _, _ in way])
            shown = np.concatenate([x for _, x, _ in way], axis=1)
            selected = np.repeat([is_selected for _, _, is_selected in way], width)
            if weight:
                joint[tuple(shown.flat)] += weight * selected[:, None] * truth
    with np.errstate(invalid="ignore"):  # visible, but never selected
        return {shown: weights / weights.sum(axis=-1, keepdims=True) for shown, weights in joint.items()}


def sampled(chain, rng, shape):
    """Rows of states, int [..., t]."""
    states = np.empty(shape, int)
    for t in range(shape[-1]):
        sums = np.cumsum(
            chain.transition[states[..., t - 1]]
            if t
            else np.broadcast_to(chain.stationary, (*shape[:-1], chain.num_states)),
            axis=-1,
        )
        states[..., t] = (rng.random((*shape[:-1], 1)) >= sums[..., :-1]).sum(axis=-1)
    return states


def drawn_kinds(rng, shape, rate, shares):
    """0 not scored, 1 masked, 2 random, 3 kept."""
    return np.where(rng.random(shape) < rate, rng.choice([1, 2, 3], size=shape, p=shares), 0)
