"""What a finished run of a detector leaves: tables, curves, confusions, and photographs with truth and predictions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mixer_tf.analysis.detection import DetectionResult
from mixer_tf.analysis.detection_pictures import (
    draw_detection_confusions,
    draw_f1_scores,
    draw_precision_recall,
    draw_truth_and_predictions,
)
from mixer_tf.analysis.pictures import draw_learning_curves, save
from mixer_tf.analysis.report import read_history, require_matplotlib, write_csv

_log = logging.getLogger(__name__)


def write_detection_report(
    directory: str | Path,
    result: DetectionResult,
    *,
    history: str | Path | None = None,
    examples: Sequence[tuple[np.ndarray, Mapping, Mapping]] = (),
) -> list[Path]:
    """Write a result as tables and pictures.

    Always `ap_per_class.csv` (class, objects, AP, AP50; empty for a class without objects), `confusion_matrix.csv`
    (rows are the true classes, columns the predictions, the last of both is background), `confusion_matrix.png`,
    `precision_recall.png` and `f1_scores.png`; with a history also `learning_curves.png`; with examples also
    `detections.png`, their truth beside the predictions from `result.score_threshold` on.

    Args:
        directory: where the files go; it is created if it is missing.
        result: what `evaluate_detections` returned.
        history: the run's `history.csv`.
        examples: of each photograph its pixels uint8 [h, w, 3], its truth and its prediction, as `evaluate_detections`
            takes them; a dozen is enough.

    Returns:
        The files written.

    Raises:
        ValueError: if matplotlib is not installed or the history is empty.

    Example:
        >>> from mixer_tf.analysis.detection import evaluate_detections
        >>> truth = {"image_id": 7, "height": 48, "width": 64, "boxes": np.array([[0.0, 0.0, 0.5, 0.5]], "float32")}
        >>> truth |= {"classes": np.array([1]), "areas": np.array([768.0]), "crowd": [False], "difficult": [False]}
        >>> prediction = {"boxes": truth["boxes"], "scores": np.array([0.9]), "classes": np.array([1])}
        >>> result = evaluate_detections([truth], [prediction], ["cat", "dog"])
        >>> [path.name for path in write_detection_report("report", result)][:2]
        ['ap_per_class.csv', 'confusion_matrix.csv']
    """
    require_matplotlib()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = [_write_ap_per_class(directory, result), _write_confusion_matrix(directory, result)]
    pictures = {
        "confusion_matrix.png": draw_detection_confusions(result),
        "precision_recall.png": draw_precision_recall(result),
        "f1_scores.png": draw_f1_scores(result),
    }
    if history is not None:
        pictures["learning_curves.png"] = draw_learning_curves(read_history(history))
    if examples:
        pictures["detections.png"] = draw_truth_and_predictions(examples, result.class_names, result.score_threshold)
    written += [save(figure, directory / name) for name, figure in pictures.items()]
    _log.info("wrote %s to %s", ", ".join(path.name for path in written), directory)
    return written


def _write_ap_per_class(directory: Path, result: DetectionResult) -> Path:
    columns = (result.class_names, result.objects_per_class, result.ap_per_class, result.ap50_per_class)
    table = [
        [name, count, *("" if math.isnan(ap) else f"{ap:.6f}" for ap in precisions)]
        for name, count, *precisions in zip(*columns, strict=True)
    ]
    return write_csv(directory / "ap_per_class.csv", ["class", "objects", "AP", "AP50"], table)


def _write_confusion_matrix(directory: Path, result: DetectionResult) -> Path:
    names = [*result.class_names, "background"]
    table = [[name, *row] for name, row in zip(names, result.confusion_matrix, strict=True)]
    return write_csv(directory / "confusion_matrix.csv", ["truth \\ prediction", *names], table)
