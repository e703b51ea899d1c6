import importlib.util
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mixer_tf.analysis.coco import coco_results, overlaps, require_pycocotools, xywh_pixels
from tests.analysis.coco_cases import CASES, read

SIZE = (40, 90)


def results_of(name):
    truths, predictions, _ = read(name)
    sizes = [(truth["height"], truth["width"]) for truth in truths]
    category_ids = [category["id"] for category in CASES[name]["truth"]["categories"]]
    return coco_results(predictions, [truth["image_id"] for truth in truths], sizes, category_ids)


@pytest.mark.parametrize("name", CASES)
def test_results_are_read_by_pycocotools_and_have_the_stored_figures(name, tmp_path, capsys):
    for kind, content in (("truth", CASES[name]["truth"]), ("results", results_of(name))):
        (tmp_path / kind).write_text(json.dumps(content))
    truth = COCO(str(tmp_path / "truth"))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats == pytest.approx(CASES[name]["stats"], abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_boxes_of_a_result_file_come_back_to_the_digit(name):
    def key(result):
        return result["image_id"], result["category_id"], result["bbox"]

    stored = sorted(CASES[name]["results"], key=key)
    assert sorted(map(key, results_of(name))) == list(map(key, stored))


def test_boxes_in_pixels():
    boxes = np.array([[0.25, 0.1, 0.5, 0.4], [0, 0, 1, 1]], np.float32)
    assert xywh_pixels(boxes, SIZE).tolist() == [[9, 10, 27, 10], [0, 0, 90, 40]]
    assert xywh_pixels(np.zeros((0, 4), np.float32), SIZE).shape == (0, 4)


def test_overlap_with_a_region_is_over_the_area_of_the_box():
    box, region = np.array([[0.0, 0.0, 10.0, 4.0]]), np.array([[0.0, 0.0, 20.0, 20.0]])
    assert overlaps(box, region, np.array([False])).tolist() == [[0.1]]
    assert overlaps(box, region, np.array([True])).tolist() == [[1.0]]
    assert overlaps(box, region[:0], np.zeros(0, bool)).shape == (1, 0)


def test_wrong_numbers_of_things_are_refused():
    prediction = {"boxes": np.zeros((1, 4)), "scores": np.zeros(1), "classes": np.array([2])}
    with pytest.raises(ValueError, match="must be one per picture; given: 1, 2 and 1"):
        coco_results([prediction], [1, 2], [SIZE], [5, 6, 7])
    with pytest.raises(ValueError, match="one for each class; given: 2 for classes up to 2"):
        coco_results([prediction], [1], [SIZE], [5, 6])


def test_missing_pycocotools_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "mixer-tf\[detection\]"'):
        require_pycocotools()
