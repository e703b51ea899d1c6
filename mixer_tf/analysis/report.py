"""What a finished run leaves: tables, and pictures of its curves, confusions and worst mistakes."""

from __future__ import annotations

import csv
import importlib.util
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mixer_tf.analysis.classification import ClassificationResult
from mixer_tf.analysis.pictures import draw_confusion_matrix, draw_learning_curves, draw_most_wrong, save

_log = logging.getLogger(__name__)


def write_report(
    directory: str | Path,
    result: ClassificationResult,
    *,
    history: str | Path | None = None,
    pictures: Sequence[np.ndarray] | Mapping[int, np.ndarray] | None = None,
) -> list[Path]:
    """Write a result as tables and pictures.

    Always `accuracy_per_class.csv` (class, count, correct, accuracy), `confusion_matrix.csv` (rows are the true
    classes, columns the predictions) and `confusion_matrix.png`; with a history also `learning_curves.png`; with
    pictures also `most_wrong.png`, the 24 examples with the highest loss.

    Args:
        directory: where the files go; it is created if it is missing.
        result: what `evaluate_classifier` returned.
        history: the `history.csv` that `keras.callbacks.CSVLogger` wrote during the training.
        pictures: the examples by index, each `uint8 [h, w, 3]` of any size: all of them, or at least those of
            `result.most_wrong()`.

    Returns:
        The files written.

    Raises:
        ValueError: if matplotlib is not installed or the history is empty.

    Example:
        >>> from mixer_tf.analysis.classification import evaluate_classifier
        >>> result = evaluate_classifier(model.predict(images, verbose=0), labels, class_names)
        >>> [path.name for path in write_report("report", result)]
        ['accuracy_per_class.csv', 'confusion_matrix.csv', 'confusion_matrix.png']
    """
    require_matplotlib()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = [_write_accuracy_per_class(directory, result), _write_confusion_matrix(directory, result)]
    if history is not None:
        written.append(save(draw_learning_curves(read_history(history)), directory / "learning_curves.png"))
    written.append(save(draw_confusion_matrix(result), directory / "confusion_matrix.png"))
    if pictures is not None:
        written.append(save(draw_most_wrong(result, pictures), directory / "most_wrong.png"))
    _log.info("wrote %s to %s", ", ".join(path.name for path in written), directory)
    return written


def require_matplotlib() -> None:
    """Raise a `ValueError` where matplotlib is missing: before a training is better than after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError('the pictures of a report need matplotlib; it is not installed: pip install "mixer-tf[plots]"')


def _write_accuracy_per_class(directory: Path, result: ClassificationResult) -> Path:
    counts, correct = result.confusion_matrix.sum(axis=1), np.diag(result.confusion_matrix)
    rows = zip(result.class_names, counts, correct, result.accuracy_per_class, strict=True)
    table = [[name, n, right, "" if math.isnan(share) else f"{share:.6f}"] for name, n, right, share in rows]
    return write_csv(directory / "accuracy_per_class.csv", ["class", "count", "correct", "accuracy"], table)


def _write_confusion_matrix(directory: Path, result: ClassificationResult) -> Path:
    table = [[name, *row] for name, row in zip(result.class_names, result.confusion_matrix, strict=True)]
    return write_csv(directory / "confusion_matrix.csv", ["truth \\ prediction", *result.class_names], table)


def write_csv(path: Path, header: list[str], rows: list[list]) -> Path:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read_history(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a `history.csv`; NaN where Keras wrote NA or nothing."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"epoch", "loss"} <= rows[0].keys():
        raise ValueError(
            f"history must have the columns epoch and loss and a row per epoch; given: {path}; train first"
        )
    return {name: np.array([_number(row[name]) for row in rows]) for name in rows[0]}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
