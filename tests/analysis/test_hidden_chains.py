import numpy as np
import pytest

from mixer_tf.analysis.hidden_chains import Channel, log_posteriors
from tests.analysis.masking import CHAINS, enumerated_posteriors

BERT = (0.8, 0.1, 0.1)
CASES = {  # number of states, shape of the band, columns of a unit, whether replacements are uniform
    "text": (3, (1, 4), 1, True),
    "one row, units of one patch": (3, (1, 4), 1, False),
    "one row, wide units": (2, (1, 6), 2, False),
    "two rows, narrow units": (2, (2, 3), 1, False),
    "two rows, square units": (2, (2, 4), 2, False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("rate", "shares"), [(0.15, BERT), (0.5, (0.5, 0.3, 0.2))])
def test_posteriors_are_those_of_enumeration(case, rate, shares):
    num_states, shape, width, uniform = CASES[case]
    chain = CHAINS[num_states]
    truth = enumerated_posteriors(chain, shape=shape, width=width, rate=rate, shares=shares, uniform=uniform)
    bands = np.array(list(truth)).reshape(-1, *shape)
    posteriors = np.exp(log_posteriors(chain, bands, width, Channel(rate, shares[1], shares[2], uniform)))
    np.testing.assert_allclose(posteriors, np.array(list(truth.values())), atol=1e-12)


@pytest.mark.parametrize(
    ("rate", "shares"), [(1.0, BERT), (0.4, (1.0, 0.0, 0.0)), (0.4, (0.0, 1.0, 0.0)), (0.4, (0.3, 0.0, 0.7))]
)
def test_posteriors_are_those_of_enumeration_at_the_ends(rate, shares):
    """All selected; a single way of showing what is: NaN stands where enumeration too finds no selected token."""
    chain, shape = CHAINS[3], (1, 3)
    truth = enumerated_posteriors(chain, shape=shape, width=1, rate=rate, shares=shares, uniform=True)
    bands = np.array(list(truth)).reshape(-1, *shape)
    posteriors = np.exp(log_posteriors(chain, bands, 1, Channel(rate, shares[1], shares[2], True)))
    np.testing.assert_allclose(posteriors, np.array(list(truth.values())), atol=1e-12)
    assert np.isnan(posteriors).any() == (shares == (1.0, 0.0, 0.0))


def test_chunks_do_not_change_the_posteriors(monkeypatch):
    bands = np.random.default_rng(0).integers(0, 2, (7, 2, 4))
    channel = Channel(0.5, 0.1, 0.1, False)
    whole = log_posteriors(CHAINS[2], bands, 2, channel)
    monkeypatch.setattr("mixer_tf.analysis.hidden_chains.MESSAGE_SIZE", 3 * 2**2)
    np.testing.assert_allclose(log_posteriors(CHAINS[2], bands, 2, channel), whole, rtol=1e-12)


def test_long_bands_do_not_underflow():
    bands = np.tile([0, -1, 1, 1, 2], (2, 1, 2000))
    assert np.isfinite(log_posteriors(CHAINS[3], bands, 1, Channel(0.15, 0.1, 0.1, True))).all()
