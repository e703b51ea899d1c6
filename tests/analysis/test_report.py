import csv
import importlib.util

import numpy as np
import pytest
from matplotlib.image import imread

from mixer_tf.analysis.classification import evaluate_classifier
from mixer_tf.analysis.pictures import draw_learning_curves
from mixer_tf.analysis.report import write_report
from tests.analysis.test_classification import NAMES, random_result

RED = (200, 10, 60)

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # matplotlib's own font has no Chinese


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def history(path, rows=("0,1.5,0.4,1.6,NA", "1,1.1,0.6,1.2,0.5")):
    path.write_text("\n".join(["epoch,loss,accuracy,val_loss,val_accuracy", *rows]))
    return path


def ink(path):
    """Share of the pixels that are not white."""
    return np.mean(np.any(imread(path)[..., :3] < 0.99, axis=-1))


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


def curves(**columns):
    count = len(next(iter(columns.values())))
    history = {"epoch": np.arange(count), "loss": np.ones(count), **{name: np.array(x) for name, x in columns.items()}}
    return draw_learning_curves(history)


def test_points_of_a_run_of_one_epoch_can_be_seen():
    for axes in curves(accuracy=[0.5], val_accuracy=[0.6]).axes:
        assert axes.lines
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
        for line in axes.lines:
            assert (line.get_marker(), line.get_markersize()) == ("o", 8)


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.9], [0.86, 0.95], [0.951, 0.975], [0.9912, 0.9921]])
def test_ticks_of_percent_differ(values):
    figure = curves(accuracy=values)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert len(set(labels)) == len(labels) > 3
    assert all(label.endswith("%") for label in labels)


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
