"""The figures of a finished detector: COCO's average precision and recall, and what it takes for what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from mixer_tf.analysis.coco import FIGURES, overlaps, run_pycocotools, xywh_pixels
from mixer_tf.checks import require

TRUTH = ("image_id", "height", "width", "boxes", "classes", "areas", "crowd", "difficult")
PREDICTION = ("boxes", "scores", "classes")
HIT = 0.5  # the overlap that makes a hit, in curves and confusion matrix
LEVELS = np.linspace(0, 1, 101)  # of recall, as COCO has them, and of confidence


@dataclasses.dataclass(frozen=True)
class DetectionResult:
    """How a detector did on pictures with objects of `k` classes.

    Where a class has no object that counts, its figures and curves are NaN.

    Attributes:
        class_names: the `k` names, in the order of the classes.
        figures: COCO's twelve, in [0, 1], by the names AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl;
            NaN for a size (s: below 32² pixels, m, l: above 96²) that no object has.
        images: number of pictures.
        objects_per_class: number of objects that count, neither crowd nor difficult, `int64 [k]`.
        ap_per_class: average precision over the overlaps .5, .55 ... .95, `float64 [k]`.
        ap50_per_class: the same at the overlap .5 alone, `float64 [k]`.
        levels: `float64 [101]`, 0, .01 ... 1: of recall for `precisions`, of confidence for `f1_scores`.
        precisions: highest precision with at least this recall, at the overlap .5, `float64 [k, 101]`.
        f1_scores: F1 of the predictions with at least this score, at the overlap .5, `float64 [k, 101]`.
        score_threshold: what a prediction must score to be in the confusion matrix.
        confusion_matrix: number of objects by true class (row) and class of the prediction (column),
            `int64 [k + 1, k + 1]`; the last row is background that was taken for an object, the last column objects
            that were not found.
    """

    class_names: tuple[str, ...]
    figures: dict[str, float]
    images: int
    objects_per_class: np.ndarray
    ap_per_class: np.ndarray
    ap50_per_class: np.ndarray
    levels: np.ndarray
    precisions: np.ndarray
    f1_scores: np.ndarray
    score_threshold: float
    confusion_matrix: np.ndarray

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that there are: one of a size that no object has is left out, as JSON knows no NaN."""
        return {name: value for name, value in self.figures.items() if not math.isnan(value)}

    @property
    def best_confidence(self) -> float:
        """The score from which on predictions have the highest F1, in the mean over classes."""
        known = self.objects_per_class > 0
        return float(self.levels[self.f1_scores[known].mean(axis=0).argmax()])


def evaluate_detections(
    truths: Sequence[Mapping],
    predictions: Sequence[Mapping[str, np.ndarray]],
    class_names: Sequence[str],
    *,
    score_threshold: float = 0.25,
) -> DetectionResult:
    """Compare a detector's boxes with the true ones, as COCO does; pycocotools computes the figures.

    Every picture counts, also one without objects and one without predictions. A crowd is a region in which predictions
    of its class are neither hits nor false, as COCO defines; likewise, as VOC defines, those that find a difficult
    object. Nobody misses either. COCO looks at no more than the 100 surest predictions of a class in a picture.

    In the confusion matrix a prediction and an object with an overlap of .5 make a pair: first those of the same class,
    then the others, each from the highest overlap down, and nothing twice.

    Args:
        truths: for each picture `image_id` int, `height` and `width` in pixels, and for its objects `boxes`
            float32 [n, 4] (yxyx, relative to the original picture), `classes` int32 [n], in 0..k-1, `areas` float32 [n]
            in pixels², `crowd` bool [n] and `difficult` bool [n].
        predictions: for each picture, in the same order, `boxes` float32 [m, 4] (likewise), `scores` float32 [m] and
            `classes` int32 [m].
        class_names: `k` names.
        score_threshold: what a prediction must score to be in the confusion matrix.

    Returns:
        The figures.

    Raises:
        ValueError: if the two do not fit together, a class or a score is none, no object counts, or pycocotools is not
            installed.

    Example:
        >>> truth = {"image_id": 7, "height": 48, "width": 64, "boxes": np.array([[0.0, 0.0, 0.5, 0.5]], "float32")}
        >>> truth |= {"classes": np.array([1]), "areas": np.array([768.0]), "crowd": np.array([False])}
        >>> prediction = {"boxes": truth["boxes"], "scores": np.array([0.9]), "classes": np.array([1])}
        >>> result = evaluate_detections([truth | {"difficult": np.array([False])}], [prediction], ["cat", "dog"])
        >>> round(result.metrics["AP50"], 4)
        1.0
    """
    truths, predictions = [_as_arrays(item) for item in truths], [_as_arrays(item) for item in predictions]
    _check(truths, predictions, len(class_names))
    evaluation = run_pycocotools(truths, predictions, len(class_names))
    precisions = evaluation.eval["precision"][:, :, :, 0, -1]  # [overlaps, recalls, k]: all sizes, 100 predictions
    precisions = np.where(precisions < 0, np.nan, precisions)
    f1_scores, objects = _f1_scores(evaluation)
    return DetectionResult(
        class_names=tuple(class_names),
        figures={
            name: float(value) if value >= 0 else math.nan
            for name, value in zip(FIGURES, evaluation.stats, strict=True)
        },
        images=len(truths),
        objects_per_class=objects,
        ap_per_class=precisions.mean(axis=(0, 1)),
        ap50_per_class=precisions[0].mean(axis=0),
        levels=LEVELS,
        precisions=precisions[0].T,
        f1_scores=f1_scores,
        score_threshold=score_threshold,
        confusion_matrix=_confusion_matrix(truths, predictions, len(class_names), score_threshold),
    )


def predict_detections(model: keras.Model, dataset, predict: Callable | None = None) -> list[dict[str, np.ndarray]]:
    """Run a detector over batches.

    Args:
        model: a detector, whose `predict_step` gives what its `predict` does: `boxes` [b, d, 4], `scores` [b, d],
            `classes` [b, d] and `num_detections` [b], the number of rows that hold a prediction.
        dataset: batches of images, or of (images, labels).
        predict: `prediction_function(model)`, for those who call this often.

    Returns:
        For each image `boxes` float32 [m, 4], `scores` float32 [m] and `classes` int32 [m], relative to the image that
        the model saw; see `in_originals`.
    """
    predict = predict or prediction_function(model)
    predictions = []
    for batch in dataset:
        images, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        outputs = {name: np.asarray(tensor) for name, tensor in predict(images).items()}
        for image, count in enumerate(outputs["num_detections"]):
            boxes, scores, classes = (outputs[name][image, :count] for name in PREDICTION)
            prediction = {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}
            predictions.append({**prediction, "classes": classes.astype(np.int32)})
    return predictions


def prediction_function(model: keras.Model) -> Callable:
    """The model's `predict_step` as a graph, on one device: `predict` needs all workers and splits the batches."""
    import tensorflow as tf

    return tf.function(lambda images: model.predict_step(images), reduce_retracing=True)


def in_originals(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping],
    to_original: Callable[[np.ndarray, Mapping], np.ndarray],
) -> list[dict[str, np.ndarray]]:
    """Predictions with their boxes in the original pictures.

    Args:
        predictions: as `predict_detections` gives them.
        truths: of the same pictures in the same order; they know their sizes.
        to_original: `to_original(boxes, truth)` turns boxes [m, 4] relative to the model's input into such relative to
            the original picture.
    """
    _require_same_number(truths, predictions)
    return [
        {**prediction, "boxes": to_original(prediction["boxes"], truth)}
        for prediction, truth in zip(predictions, truths, strict=True)
    ]


def _f1_scores(evaluation) -> tuple[np.ndarray, np.ndarray]:
    """F1 by class and confidence, float64 [k, 101], and the number of objects that count, int64 [k]."""
    parameters = evaluation.params
    pictures, sizes = len(parameters.imgIds), len(parameters.areaRng)
    f1_scores, counts = [], []
    for label in range(len(parameters.catIds)):
        start = label * sizes * pictures  # the first of the sizes is all
        found = [part for part in evaluation.evalImgs[start : start + pictures] if part is not None]
        count = sum(int(np.sum(part["gtIgnore"] == 0)) for part in found)
        scores = np.concatenate([[], *(part["dtScores"] for part in found)])
        hits = np.concatenate([[], *(part["dtMatches"][0] > 0 for part in found)]).astype(bool)
        counting = ~np.concatenate([[], *(part["dtIgnore"][0] for part in found)]).astype(bool)
        chosen = (scores >= LEVELS[:, None]) & counting  # [101, m]
        true, predicted = (chosen & hits).sum(axis=1), chosen.sum(axis=1)
        f1_scores.append(2 * true / (predicted + count) if count else np.full(len(LEVELS), np.nan))
        counts.append(count)
    return np.stack(f1_scores), np.array(counts, np.int64)


def _confusion_matrix(truths, predictions, num_classes: int, score_threshold: float) -> np.ndarray:
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for truth, prediction in zip(truths, predictions, strict=True):
        sure = prediction["scores"] >= score_threshold
        size = truth["height"], truth["width"]
        overlap = overlaps(
            xywh_pixels(prediction["boxes"][sure], size), xywh_pixels(truth["boxes"], size), truth["crowd"]
        )
        _count_picture(matrix, overlap, prediction["classes"][sure], truth)
    return matrix


def _count_picture(matrix: np.ndarray, overlap: np.ndarray, said: np.ndarray, truth) -> None:
    """Add the pairs of a picture, the objects left over and the predictions left over; overlap is [m, n]."""
    excused = truth["crowd"] | truth["difficult"]
    same = said[:, None] == truth["classes"]
    rows, columns = np.nonzero((overlap >= HIT) & ~excused)
    order = np.lexsort([-overlap[rows, columns], ~same[rows, columns]])  # the last key is the first to sort by
    used, found = np.zeros(len(said), bool), np.zeros(len(excused), bool)
    for row, column in zip(rows[order], columns[order], strict=True):
        if not used[row] and not found[column]:
            used[row] = found[column] = True
            matrix[truth["classes"][column], said[row]] += 1
    used |= ((overlap >= HIT) & same & excused).any(axis=1)
    np.add.at(matrix[-1], said[~used], 1)
    np.add.at(matrix[:, -1], truth["classes"][~found & ~excused], 1)


def _as_arrays(item: Mapping) -> dict:
    return {name: np.asarray(value, bool if name in ("crowd", "difficult") else None) for name, value in item.items()}


def _require_same_number(truths, predictions) -> None:
    require(
        len(truths) == len(predictions),
        f"predictions must be one per picture, in the order of the truths; given: {len(predictions)} for {len(truths)}",
    )


def _check(truths, predictions, num_classes: int) -> None:
    _require_same_number(truths, predictions)
    for index, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        _check_rows(truth, TRUTH, num_classes, f"truths[{index}]")
        _check_rows(prediction, PREDICTION, num_classes, f"predictions[{index}]")
    ids = {int(truth["image_id"]) for truth in truths}
    require(len(ids) == len(truths), f"image_id must differ between pictures; given: {len(ids)} for {len(truths)}")
    require(
        any((~truth["crowd"] & ~truth["difficult"]).any() for truth in truths),
        f"truths must have an object that is neither crowd nor difficult; given: none in {len(truths)} pictures",
    )


def _check_rows(item: dict, names: tuple[str, ...], num_classes: int, what: str) -> None:
    missing = [name for name in names if name not in item]
    require(not missing, f"{what} must have {', '.join(names)}; given: no {', '.join(missing)}")
    columns = [name for name in names if name not in ("image_id", "height", "width", "boxes")]
    shapes = {name: item[name].shape for name in ("boxes", *columns)}
    count = item["classes"].size
    require(
        shapes["boxes"] == (count, 4) and all(shapes[name] == (count,) for name in columns),
        f"{what} must have boxes [n, 4] and {', '.join(columns)} [n]; given: {shapes}",
    )
    for name in ("boxes", "scores") if "scores" in item else ("boxes", "areas"):
        broken = int(np.sum(~np.isfinite(item[name])))
        require(not broken, f"{name} of {what} must be finite; given: {broken} numbers that are not")
    labels = item["classes"]
    require(
        np.isin(labels, range(num_classes)).all(),
        f"classes of {what} must lie in 0..{num_classes - 1}; given: {labels.min(initial=0)} to "
        f"{labels.max(initial=0)}",
    )
