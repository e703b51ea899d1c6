"""COCO's evaluation of boxes, which pycocotools computes, and COCO's file of results.

Inside the package boxes are yxyx, relative to the picture; here, and nowhere else in `analysis`, they become pixels.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Mapping, Sequence

import numpy as np

from mixer_tf.checks import require

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")  # as pycocotools


def coco_results(
    predictions: Sequence[Mapping[str, np.ndarray]],
    image_ids: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    category_ids: Sequence[int],
) -> list[dict]:
    """Predictions as COCO's result file holds them: `json.dump` of this is what its server and pycocotools read.

    Args:
        predictions: for each picture `boxes` float32 [m, 4], yxyx relative to the original picture, `scores` [m] and
            `classes` int [m].
        image_ids: the data set's own number of each picture.
        sizes: (height, width) of each original picture in pixels.
        category_ids: the data set's own number of each class.

    Returns:
        For each box `image_id`, `category_id`, `bbox` (x and y of the upper left corner, width and height, in pixels
        of the original picture) and `score`.

    Raises:
        ValueError: if there is not one of each per picture, or a class has no category.

    Example:
        >>> cat = {"boxes": np.array([[0.5, 0.25, 1.0, 0.75]]), "scores": np.array([0.5]), "classes": np.array([1])}
        >>> coco_results([cat], image_ids=[397133], sizes=[(48, 64)], category_ids=[16, 17])
        [{'image_id': 397133, 'category_id': 17, 'bbox': [16.0, 24.0, 32.0, 24.0], 'score': 0.5}]
    """
    require(
        len(predictions) == len(image_ids) == len(sizes),
        "predictions, image_ids and sizes must be one per picture; given: "
        f"{len(predictions)}, {len(image_ids)} and {len(sizes)}",
    )
    results = []
    for prediction, image_id, size in zip(predictions, image_ids, sizes, strict=True):
        classes = np.asarray(prediction["classes"])
        require(
            np.isin(classes, range(len(category_ids))).all(),
            f"category_ids must have one for each class; given: {len(category_ids)} for classes up to "
            f"{classes.max(initial=0)}",
        )
        boxes, scores = xywh_pixels(prediction["boxes"], size), np.asarray(prediction["scores"], np.float64)
        results += [
            {"image_id": int(image_id), "category_id": int(category_ids[label]), "bbox": box, "score": score}
            for box, score, label in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
        ]
    return results


def xywh_pixels(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Relative yxyx boxes [n, 4] as COCO's x, y, width and height in pixels of a picture (height, width), float64.

    Rounded to a thousandth of a pixel, which float32 keeps up to 8,000 pixels: so the numbers of an annotation file
    come back as they were, and an overlap of exactly a half stays one.
    """
    y1, x1, y2, x2 = (np.asarray(boxes, np.float64).reshape(-1, 4) * np.tile(size, 2)).round(3).T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=-1).round(3)


def overlaps(boxes: np.ndarray, others: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Intersection over union of xywh boxes [m, 4] and [n, 4], float64 [m, n]; over the area of the box for regions.

    Args:
        boxes: predictions.
        others: truths.
        regions: bool [n], whether a truth is a region of a crowd.
    """
    from pycocotools import mask

    if not len(boxes) or not len(others):  # for which pycocotools returns a list
        return np.zeros((len(boxes), len(others)))
    return mask.iou(boxes, others, regions.astype(np.uint8))


def run_pycocotools(truths: Sequence[Mapping], predictions: Sequence[Mapping], num_classes: int):
    """COCO's evaluation over all pictures, whether they have objects, predictions or neither.

    Args:
        truths: as `mixer_tf.analysis.detection.evaluate_detections` takes them.
        predictions: likewise.
        num_classes: number of classes; they stand for COCO's categories.

    Returns:
        The finished `pycocotools.cocoeval.COCOeval`, with `stats`, `eval` and `evalImgs`.
    """
    require_pycocotools()
    from pycocotools.coco import COCO

    image_ids, sizes = [truth["image_id"] for truth in truths], [(truth["height"], truth["width"]) for truth in truths]
    results = coco_results(predictions, image_ids, sizes, range(num_classes))
    found = [{**result, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0} for result in results]
    surroundings = {
        "images": [{"id": int(image_id)} for image_id in image_ids],
        "categories": [{"id": label} for label in range(num_classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress and its table
        sides = []
        for annotations in (_annotations(truths), found):
            side = COCO()
            numbered = [{**annotation, "id": i} for i, annotation in enumerate(annotations, start=1)]  # 0 means no hit
            side.dataset = {**surroundings, "annotations": numbered}
            side.createIndex()
            sides.append(side)
        evaluation = _evaluation_class()(*sides, iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def require_pycocotools() -> None:
    """Raise a `ValueError` where pycocotools is missing: before a training is better than after it."""
    if importlib.util.find_spec("pycocotools") is None:
        raise ValueError(
            'the figures of a detector need pycocotools; it is not installed: pip install "mixer-tf[detection]"'
        )


def _annotations(truths) -> list[dict]:
    annotations = []
    for truth in truths:
        boxes = xywh_pixels(truth["boxes"], (truth["height"], truth["width"])).tolist()
        columns = (truth[name].tolist() for name in ("classes", "areas", "crowd", "difficult"))
        for box, label, area, crowd, difficult in zip(boxes, *columns, strict=True):
            annotation = {"image_id": int(truth["image_id"]), "category_id": label, "bbox": box, "area": area}
            annotations.append({**annotation, "crowd": crowd, "iscrowd": crowd or difficult})
    return annotations


def _evaluation_class():
    from pycocotools.cocoeval import COCOeval

    class Evaluation(COCOeval):
        """COCO's evaluation that knows difficult objects, too.

        As in VOC's, they are neither hits nor misses, however often they are found. COCO's crowds are the same but for
        their overlap, which is that of a region. So both are crowds here (which is also the only thing that pycocotools
        ignores: it overwrites `ignore`), and only when overlaps are computed those are that are.
        """

        def computeIoU(self, image_id, category_id):  # noqa: N802
            truths = self._gts[image_id, category_id]
            for truth in truths:
                truth["iscrowd"] = truth["crowd"]
            result = super().computeIoU(image_id, category_id)
            for truth in truths:
                truth["iscrowd"] = truth["ignore"]
            return result

    return Evaluation
