import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

from mixer_tf.analysis.classification import evaluate_classifier

NAMES = ["größe", "猫", "$5 & a_b^c", "", "truck, lorry", "cat", 'a,"b"\nc']


def random_result(n=60, k=7, seed=0, names=None):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(k, size=n), rng.normal(scale=3.0, size=(n, k))
    return labels, logits, evaluate_classifier(logits.astype("float32"), labels, names or NAMES)


def test_figures_equal_scikit_learn():
    labels, logits, result = random_result()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert result.accuracy == np.mean(logits.argmax(axis=1) == labels)
    assert result.top_5_accuracy == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=range(7)))
    assert result.loss == pytest.approx(log_loss(labels, probabilities, labels=range(7)), rel=1e-6)
    np.testing.assert_array_equal(result.confusion_matrix, confusion_matrix(labels, logits.argmax(axis=1)))
    np.testing.assert_allclose(result.probabilities, probabilities.max(axis=1), rtol=1e-5)
    assert result.metrics == {
        "accuracy": result.accuracy,
        "top_5_accuracy": result.top_5_accuracy,
        "loss": result.loss,
    }


def test_rows_of_the_confusion_matrix_are_the_truth():
    logits = np.array([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    result = evaluate_classifier(logits, np.array([1, 1, 0]), ["a", "b", "c"])
    assert result.confusion_matrix.tolist() == [[0, 1, 0], [2, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(result.accuracy_per_class, [0.0, 0.0, np.nan])


def test_equal_logits_earn_no_more_than_argmax_gives():
    result = evaluate_classifier(np.zeros((20, 10)), np.arange(20) % 10, [str(i) for i in range(10)])
    assert (result.accuracy, result.top_5_accuracy) == (0.1, 0.5)
    assert result.loss == pytest.approx(np.log(10))


def test_fewer_than_five_classes():
    result = evaluate_classifier(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]), ["a", "b"])
    assert (result.accuracy, result.top_5_accuracy) == (0.0, 1.0)


def test_large_logits_stay_finite():
    result = evaluate_classifier(np.array([[1e4, -1e4]]), np.array([1]), ["a", "b"])
    assert result.loss == 2e4


def test_most_wrong_is_sorted_by_loss():
    result = random_result()[2]
    assert result.most_wrong(5) == sorted(range(60), key=lambda i: -result.losses[i])[:5]
    assert len(result.most_wrong()) == 24


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), [0], "must fit together"),
        (np.zeros((2, 2)), [0, 1], "2 names|3 names"),
        (np.zeros((0, 3)), np.zeros(0, int), "n at least 1"),
        (np.zeros((2, 3)), [0, 3], "integers from 0 to 2; given: int64 from 0 to 3"),
        (np.zeros((2, 3)), [0.0, 1.0], "integers from 0 to 2; given: float64"),
        (np.array([[0.0, np.nan, 1.0]]), [0], "must be finite; given: 1"),
    ],
)
def test_wrong_values(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate_classifier(logits, np.array(labels), ["a", "b", "c"])
