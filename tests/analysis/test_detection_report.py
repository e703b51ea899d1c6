import csv
import importlib.util
import math

import numpy as np
import pytest
from matplotlib.image import imread

from mixer_tf.analysis.detection import evaluate_detections
from mixer_tf.analysis.detection_report import write_detection_report
from mixer_tf.analysis.pictures import draw_learning_curves
from tests.analysis.coco_cases import read
from tests.analysis.test_report import ink

PINK = (200, 10, 60)
CASE = "more_than_100_predictions_and_a_class_without_objects"
TABLES = ["ap_per_class.csv", "confusion_matrix.csv"]
PICTURES = ["confusion_matrix.png", "precision_recall.png", "f1_scores.png"]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def examples(truths, predictions, count):
    """Photographs of one colour, a fifth as large as they were."""
    sizes = [(truth["height"] // 5, truth["width"] // 5) for truth in truths[:count]]
    images = [np.full((*size, 3), PINK, np.uint8) for size in sizes]
    return list(zip(images, truths, predictions, strict=False))


def test_tables(tmp_path):
    truths, predictions, names = read(CASE)
    result = evaluate_detections(truths, predictions, ["größe", '$5,"a_b^c"', names[2]])
    written = write_detection_report(tmp_path / "new" / "folder", result)
    assert [path.name for path in written] == TABLES + PICTURES
    header, *rows = rows_of(written[0])
    assert header == ["class", "objects", "AP", "AP50"]
    assert [row[:2] for row in rows] == [["größe", "2"], ['$5,"a_b^c"', "3"], ["class 9", "0"]]
    assert rows[2][2:] == ["", ""]
    for row, ap, ap50 in zip(rows[:2], result.ap_per_class, result.ap50_per_class, strict=False):
        assert [float(text) for text in row[2:]] == pytest.approx([ap, ap50], abs=1e-6)
    header, *rows = rows_of(written[1])
    assert header == ["truth \\ prediction", "größe", '$5,"a_b^c"', "class 9", "background"]
    assert [row[0] for row in rows] == header[1:]
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], int), result.confusion_matrix)


@pytest.mark.parametrize("count", [1, 3, 6])
def test_pictures(tmp_path, count):
    truths, predictions, names = read("all_sizes_crowds_and_empty_pictures")
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss,val_loss,val_AP\n0,1.5,1.6,\n1,1.1,1.2,0.25\n")
    result = evaluate_detections(truths, predictions, names)
    written = write_detection_report(tmp_path, result, history=history, examples=examples(truths, predictions, count))
    assert [path.name for path in written] == [*TABLES, *PICTURES, "learning_curves.png", "detections.png"]
    assert all(ink(path) > 0.02 for path in written if path.suffix == ".png")
    gallery = imread(tmp_path / "detections.png")[..., :3]
    assert np.mean(np.all(np.abs(gallery * 255 - PINK) < 2, axis=-1)) > 0.2


def test_curves_of_a_detector_are_loss_and_ap():
    history = {name: np.array([0.5, np.nan, 0.25]) for name in ("loss", "val_loss", "val_AP", "val_AP50")}
    figure = draw_learning_curves({"epoch": np.arange(3), **history})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "AP"]
    [line] = figure.axes[1].lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1, 3], [0.5, 0.25])


@pytest.mark.parametrize("k", [1, 11, 57])
def test_any_number_of_classes(tmp_path, k):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.5, size=(60, 2))
    boxes = np.concatenate([corners, corners + 0.3], axis=1).astype(np.float32)
    classes, none = rng.integers(k, size=60), np.zeros(60, bool)
    truth = {"image_id": 1, "height": 90, "width": 70, "boxes": boxes, "classes": classes}
    truth |= {"areas": np.full(60, 567.0), "crowd": none, "difficult": none}
    prediction = {"boxes": boxes, "classes": classes, "scores": rng.uniform(size=60)}
    result = evaluate_detections([truth], [prediction], [f"class {i}" for i in range(k)])
    written = write_detection_report(tmp_path, result, examples=examples([truth], [prediction], 1))
    assert all(ink(path) > 0.01 for path in written if path.suffix == ".png")
    assert result.metrics["AP"] == pytest.approx(1.0)
    assert math.isfinite(result.best_confidence)


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    result = evaluate_detections(*read("one_class_of_number_0"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "mixer-tf\[plots\]"'):
        write_detection_report(tmp_path, result)
