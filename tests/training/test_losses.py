import keras
import numpy as np
import pytest
from scipy.special import log_expit, log_softmax

from mixer_tf.training.losses import LOSSES, create_loss

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(scale=4.0, size=(3, 5))
LABELS = 0.3 * np.eye(5)[[0, 2, 4]] + 0.7 * np.eye(5)[[1, 2, 0]]  # mixed, as by MixUp


def reference(kind, smoothing):
    labels = LABELS * (1 - smoothing) + smoothing / 5
    if kind == "softmax":
        return -np.sum(labels * log_softmax(LOGITS, axis=-1), axis=-1)
    return -np.sum(labels * log_expit(LOGITS) + (1 - labels) * log_expit(-LOGITS), axis=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", LOSSES)
def test_equals_the_formula(kind, smoothing):
    loss = create_loss(kind, label_smoothing=smoothing)
    np.testing.assert_allclose(float(loss(LABELS, LOGITS)), reference(kind, smoothing).mean(), rtol=1e-6)


@pytest.mark.parametrize("kind", LOSSES)
def test_is_computed_in_float32(kind):
    labels, logits = (keras.ops.cast(values, "bfloat16") for values in (LABELS, LOGITS))
    loss = create_loss(kind)(labels, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(float(loss), reference(kind, 0.0).mean(), rtol=2e-2)


@pytest.mark.parametrize("kind", LOSSES)
def test_large_logits_stay_finite(kind):
    logits = np.array([[-1e4, 1e4], [1e4, -1e4]])
    assert float(create_loss(kind)(np.eye(2), logits)) == (2e4 if kind == "softmax" else pytest.approx(2e4))


@pytest.mark.parametrize("kind", LOSSES)
def test_sample_weights_and_batch_mean(kind):
    loss, losses = create_loss(kind), reference(kind, 0.0)
    weights = np.array([1.0, 0.0, 2.0])
    assert loss.reduction == "sum_over_batch_size"
    np.testing.assert_allclose(
        float(loss(LABELS, LOGITS, sample_weight=weights)), (weights * losses).sum() / 3, rtol=1e-6
    )


@pytest.mark.parametrize("kind", LOSSES)
def test_round_trip(kind):
    loss = create_loss(kind, label_smoothing=0.2)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    assert float(copy(LABELS, LOGITS)) == float(loss(LABELS, LOGITS))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="softmax, sigmoid; given: 'hinge'"):
        create_loss("hinge")
    with pytest.raises(ValueError, match=r"in \[0, 1\); given: 1.0"):
        create_loss("softmax", label_smoothing=1.0)
