import csv
import importlib.util

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

from mixer_tf.analysis.classification import evaluate_classifier, write_report

NAMES = ["größe", "猫", "$5 & a_b^c", "", "truck, lorry", "cat", 'a,"b"\nc']
RED = (200, 10, 60)

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # matplotlib's own font has no Chinese


def random_result(n=60, k=7, seed=0, names=None):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(k, size=n), rng.normal(scale=3.0, size=(n, k))
    return labels, logits, evaluate_classifier(logits.astype("float32"), labels, names or NAMES)


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def history(path, rows=("0,1.5,0.4,1.6,NA", "1,1.1,0.6,1.2,0.5")):
    path.write_text("\n".join(["epoch,loss,accuracy,val_loss,val_accuracy", *rows]))
    return path


def ink(path):
    """Share of the pixels that are not white."""
    return np.mean(np.any(imread(path)[..., :3] < 0.99, axis=-1))


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


def test_tables(tmp_path):
    labels, logits, result = random_result()
    write_report(tmp_path / "new" / "folder", result)
    header, *rows = read(tmp_path / "new" / "folder" / "accuracy_per_class.csv")
    assert header == ["class", "count", "correct", "accuracy"]
    assert [row[0] for row in rows] == NAMES
    assert [int(row[1]) for row in rows] == np.bincount(labels, minlength=7).tolist()
    assert [int(row[2]) for row in rows] == np.bincount(labels[logits.argmax(axis=1) == labels], minlength=7).tolist()
    np.testing.assert_allclose([float(row[3]) for row in rows], result.accuracy_per_class, atol=1e-6)
    header, *rows = read(tmp_path / "new" / "folder" / "confusion_matrix.csv")
    assert (header[1:], [row[0] for row in rows]) == (NAMES, NAMES)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], int), result.confusion_matrix)


def test_a_class_without_examples_has_no_accuracy(tmp_path):
    write_report(tmp_path, evaluate_classifier(np.zeros((1, 2)), np.array([0]), ["a", "b"]))
    assert read(tmp_path / "accuracy_per_class.csv")[1:] == [["a", "1", "1", "1.000000"], ["b", "0", "0", ""]]


def test_pictures(tmp_path):
    result = random_result()[2]
    pictures = {index: np.full((5 + index, 40 - index // 2, 3), RED, np.uint8) for index in result.most_wrong()}
    written = write_report(tmp_path, result, history=history(tmp_path / "history.csv"), pictures=pictures)
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} - {"history.csv"}
    assert all(ink(path) > 0.02 for path in written if path.suffix == ".png")
    gallery = imread(tmp_path / "most_wrong.png")[..., :3]
    assert np.mean(np.all(np.abs(gallery * 255 - RED) < 2, axis=-1)) > 0.2


@pytest.mark.parametrize("k", [1, 2, 57, 230])
def test_any_number_of_classes(tmp_path, k):
    result = random_result(n=300, k=k, names=[f"class {i}" for i in range(k)])[2]
    write_report(tmp_path, result, pictures=[np.full((4, 6, 3), RED, np.uint8)] * 300)
    assert ink(tmp_path / "confusion_matrix.png") > 0.02


def test_history_of_one_epoch_without_accuracy(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,1.5\n")
    write_report(tmp_path, random_result(k=2, names=["a", "b"])[2], history=path)
    assert ink(tmp_path / "learning_curves.png") > 0.005


def test_history_without_epochs(tmp_path):
    with pytest.raises(ValueError, match="a row per epoch"):
        write_report(
            tmp_path, random_result(k=2, names=["a", "b"])[2], history=history(tmp_path / "history.csv", rows=())
        )


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "mixer-tf\[plots\]"'):
        write_report(tmp_path, random_result(k=2, names=["a", "b"])[2])
