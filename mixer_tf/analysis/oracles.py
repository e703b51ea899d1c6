"""The best possible guesses on a source whose law is known, for the very tokens that a model is asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixer_tf.analysis.bayes import SHARES, fits_joint_states, masked_image_log_posteriors, masked_log_posteriors
from mixer_tf.checks import require
from mixer_tf.data.masking import NOT_SCORED

ALONE = (SHARES[0] + SHARES[1], 0.0, SHARES[2])  # of a batch of one picture, where none can show a part of another

Oracle = Callable[[dict], np.ndarray]
"""From a batch to the log-probability that the best model gives each label, float64, of the labels' shape."""


def text_oracle(source, masking) -> Oracle:
    """For batches of `mixer_tf.data.masked_texts` from `mixer_tf.data.markov.open_markov_text`.

    Args:
        source: a `MarkovText`.
        masking: how its tokens were hidden, or that nothing was and the next token is asked.
    """
    num_special = source.vocab_size - source.chain.num_states

    def next_token(batch):
        states = np.asarray(batch["token_ids"])[:, 1:-1] - num_special  # between [CLS] and [EOS]
        chain = source.chain
        found = np.concatenate(
            [np.log(chain.stationary)[states[:, :1]], np.log(chain.transition)[states[:, :-1], states[:, 1:]]], axis=1
        )
        end = np.zeros((len(found), 2))  # that [EOS] follows at its place, and nothing after it
        return np.concatenate([found, end], axis=1)

    def masked(batch):
        posteriors = masked_log_posteriors(source.chain, source.states_of(batch["token_ids"]), rate=masking.rate)
        rows = np.arange(len(posteriors))[:, None]
        scored = np.asarray(batch["kinds"]) != NOT_SCORED
        places = np.where(scored, np.asarray(batch["masked_positions"]) - 1, 0)
        states = np.where(scored, np.asarray(batch["labels"]) - num_special, 0)
        return np.where(scored, posteriors[rows, places, states], 0.0)

    return next_token if masking.causal else masked


def image_oracle(source, preprocessing, *, patch_size: int, unit: int, rate: float) -> Oracle:
    """For batches of `mixer_tf.data.masked_images` from `mixer_tf.data.markov.open_markov_images`.

    Args:
        source: a `MarkovImages`, whose pictures must be as large as the model's.
        preprocessing: of the model.
        patch_size: side of a patch in pixels.
        unit: side in pixels of what is hidden as one.
        rate: probability that a unit is hidden.

    Raises:
        ValueError: if the preprocessing cuts the pictures, whose patches would not stay whole, or a unit has too many
            rows of patches for its joint states.
    """
    from mixer_tf.data.masked_images import color_classes

    sizes = [size for size in range(1, unit + 1) if unit % size == 0 and fits_joint_states(source.chain, unit // size)]
    require(
        patch_size >= sizes[0],
        f"patch_size must be at least {sizes[0]} for data=markov where units have {unit} pixels, or the best possible "
        f"loss cannot be computed; given: {patch_size}; raise it, or take target=pixels or pictures of your own",
    )
    require(preprocessing.crop == 1, f"crop must be 1 for pictures of a Markov chain; given: {preprocessing.crop}")

    def masked(batch):
        pixels = (batch["image"] * preprocessing.std + preprocessing.mean) * 255.0
        observed = source.states_of(color_classes(pixels, patch_size).numpy())
        require((observed >= 0).all(), "pictures must be the source's own, neither resized nor cropped; given: others")
        side = unit // patch_size
        hidden = np.repeat(np.repeat(batch["masked_units"], side, axis=1), side, axis=2)
        observed = np.where(hidden == 1, -1, observed)
        shares = SHARES if len(observed) > 1 else ALONE
        posteriors = masked_image_log_posteriors(source.chain, observed, unit=side, rate=rate, shares=shares)
        states = source.states_of(np.asarray(batch["labels"]))
        found = np.take_along_axis(posteriors, states[..., None], axis=-1)[..., 0]
        return np.where(np.asarray(batch["kinds"]) != NOT_SCORED, found, 0.0)

    return masked
