"""What a finished classifier can do: figures, tables, and pictures of its curves, confusions and worst mistakes."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

BLUE, RED, GREY = "#2166ac", "#d6604d", "#777777"


@dataclasses.dataclass(frozen=True)
class ClassificationResult:
    """How a classifier did on `n` examples of `k` classes.

    Attributes:
        class_names: the `k` names, in the order of the logits.
        labels: true class of each example, `int64 [n]`.
        predictions: class with the highest logit, `int64 [n]`.
        probabilities: softmax probability of the prediction, `float64 [n]`, in [0, 1].
        losses: softmax cross-entropy of each example, natural logarithm, `float64 [n]`.
        accuracy: share of examples whose prediction is right, in [0, 1].
        top_5_accuracy: share of examples whose true class is among the `min(5, k)` highest logits, in [0, 1].
        loss: mean of `losses`.
        confusion_matrix: number of examples by true class (row) and prediction (column), `int64 [k, k]`.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    losses: np.ndarray
    accuracy: float
    top_5_accuracy: float
    loss: float
    confusion_matrix: np.ndarray

    @property
    def metrics(self) -> dict[str, float]:
        """The three figures that sum up the result: accuracy, top_5_accuracy, loss."""
        return {"accuracy": self.accuracy, "top_5_accuracy": self.top_5_accuracy, "loss": self.loss}

    @property
    def accuracy_per_class(self) -> np.ndarray:
        """Share of each class's examples that are right, `float64 [k]`; NaN for a class without examples."""
        counts = self.confusion_matrix.sum(axis=1)
        return np.divide(np.diag(self.confusion_matrix), counts, out=np.full(len(counts), np.nan), where=counts > 0)

    def most_wrong(self, count: int = 24) -> list[int]:
        """The indices of the examples with the highest loss, worst first."""
        return np.argsort(-self.losses, kind="stable")[:count].tolist()


def evaluate_classifier(logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> ClassificationResult:
    """Compare a classifier's logits with the true classes.

    Args:
        logits: `float [n, k]`, before the softmax, all finite.
        labels: `int [n]`, the true classes, in 0..k-1.
        class_names: `k` names.

    Returns:
        The figures, computed in float64. Of equal logits the first counts as the highest, as in `argmax`.

    Raises:
        ValueError: if the shapes do not fit, there is no example, a label is no class, or a logit is not finite.

    Example:
        >>> evaluate_classifier(np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([0, 1]), ["cat", "dog"]).accuracy
        0.5
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    _check(logits, labels, class_names)
    labels = labels.astype(np.int64)
    examples, classes = np.arange(len(labels)), np.arange(len(class_names))
    logits = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    true_logits = logits[examples, labels]
    predictions = logits.argmax(axis=1)
    ahead = (logits > true_logits[:, None]) | ((logits == true_logits[:, None]) & (classes < labels[:, None]))
    confusion_matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion_matrix, (labels, predictions), 1)
    return ClassificationResult(
        class_names=tuple(class_names),
        labels=labels,
        predictions=predictions,
        probabilities=np.exp(logits[examples, predictions] - log_sums),
        losses=log_sums - true_logits,
        accuracy=float(np.mean(predictions == labels)),
        top_5_accuracy=float(np.mean(ahead.sum(axis=1) < 5)),
        loss=float(np.mean(log_sums - true_logits)),
        confusion_matrix=confusion_matrix,
    )


def predict_with_labels(model, dataset) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over batches of (images, one-hot labels).

    Args:
        model: a classifier, from images to logits `[b, k]`.
        dataset: batches of (images `[b, H, W, 3]`, labels `[b, k]`), such as `mixer_tf.data.pipeline.eval_dataset`.

    Returns:
        The logits `float32 [n, k]` and the labels `int64 [n]`, for `evaluate_classifier`.
    """
    batches = [(model.predict_on_batch(images), np.argmax(labels, axis=1)) for images, labels in dataset]
    logits, labels = zip(*batches, strict=True)
    return np.concatenate(logits), np.concatenate(labels)


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
        >>> result = evaluate_classifier(model.predict(images), labels, class_names)
        >>> write_report("runs/digits", result, history="runs/digits/history.csv", pictures=images)
    """
    require_matplotlib()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = [_write_accuracy_per_class(directory, result), _write_confusion_matrix(directory, result)]
    if history is not None:
        written.append(_save(_draw_learning_curves(_read_history(history)), directory / "learning_curves.png"))
    written.append(_save(_draw_confusion_matrix(result), directory / "confusion_matrix.png"))
    if pictures is not None:
        written.append(_save(_draw_most_wrong(result, pictures), directory / "most_wrong.png"))
    logger.info("wrote %s to %s", ", ".join(path.name for path in written), directory)
    return written


def _check(logits, labels, class_names):
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(class_names) != logits.shape[1] or not len(labels):
        raise ValueError(
            "logits [n, k], labels [n] and k class names must fit together, with n at least 1; "
            f"given: {logits.shape}, {labels.shape} and {len(class_names)} names"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"labels must be integers from 0 to {len(class_names) - 1}; given: {labels.dtype} from {labels.min()} to "
            f"{labels.max()}"
        )
    if not np.isfinite(logits).all():
        raise ValueError(f"logits must be finite; given: {np.sum(~np.isfinite(logits))} that are not; see the training")


def _write_accuracy_per_class(directory: Path, result: ClassificationResult) -> Path:
    counts, correct = result.confusion_matrix.sum(axis=1), np.diag(result.confusion_matrix)
    rows = zip(result.class_names, counts, correct, result.accuracy_per_class, strict=True)
    table = [[name, n, right, "" if math.isnan(share) else f"{share:.6f}"] for name, n, right, share in rows]
    return _write_csv(directory / "accuracy_per_class.csv", ["class", "count", "correct", "accuracy"], table)


def _write_confusion_matrix(directory: Path, result: ClassificationResult) -> Path:
    table = [[name, *row] for name, row in zip(result.class_names, result.confusion_matrix, strict=True)]
    return _write_csv(directory / "confusion_matrix.csv", ["truth \\ prediction", *result.class_names], table)


def _write_csv(path: Path, header: list[str], rows: list[list]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _read_history(path: str | Path) -> dict[str, np.ndarray]:
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


def require_matplotlib() -> None:
    """Raise a `ValueError` where matplotlib is missing: before a training is better than after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError('the pictures of a report need matplotlib; it is not installed: pip install "mixer-tf[plots]"')


def _figure(width: float, height: float):
    """A figure of so many inches. It belongs to no window and no global state: saving as PNG draws it with Agg."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _save(figure, path: Path) -> Path:
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.15)
    return path


def _draw_learning_curves(history: dict[str, np.ndarray]):
    """Loss and accuracy by epoch, for training, validation and the averaged weights, as far as the history has them."""
    metrics = [name for name in ("loss", "accuracy") if name in history]
    figure = _figure(1 + 5 * len(metrics), 4)
    epochs = history["epoch"] + 1
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        series = [
            ("", "training", GREY),
            ("val_", "validation", BLUE),
            ("val_ema_", "validation, averaged weights", RED),
        ]
        for prefix, label, color in series:
            if f"{prefix}{metric}" in history:
                marker = "o" if len(epochs) < 25 else None
                axes.plot(epochs, history[f"{prefix}{metric}"], color=color, label=label, marker=marker, markersize=3)
        axes.set_title(metric.capitalize(), loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if metric == "accuracy":
            axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.legend(frameon=False)
    return figure


def _draw_confusion_matrix(result: ClassificationResult):
    """Share of each true class that got each prediction.

    Up to 40 classes have their names at the axes. More have no room for them, so a list beside the matrix names the
    most frequent confusions; more than 100 share cells with their neighbours.
    """
    classes = len(result.class_names)
    if classes <= 40:
        size = max(4.0, 0.42 * classes + 1.0)
        figure = _figure(size + 1.5, size)
        axes = figure.subplots()
        _write_names_and_counts(axes, result)
    else:
        figure = _figure(14.0, 8.0)
        axes, side = figure.subplots(1, 2, width_ratios=[8, 5])
        _list_confusions(side, result)
    group = math.ceil(classes / 100)
    shares = _row_shares(_pooled(result.confusion_matrix, group))
    end = len(shares) * group - 0.5
    image = axes.imshow(shares, cmap="Blues", norm=_power_norm(), extent=(-0.5, end, end, -0.5), interpolation="none")
    cells = f", in cells of {group} x {group} classes" if group > 1 else ""
    axes.set_title(f"Accuracy {result.accuracy:.1%} of {len(result.labels):,} examples{cells}", loc="left")
    axes.set(xlabel="prediction", ylabel="truth")
    figure.colorbar(image, ax=axes, format="{x:.0%}", shrink=0.6, aspect=30, label="share of the true class")
    return figure


def _pooled(matrix: np.ndarray, group: int) -> np.ndarray:
    """The sums over cells of `group` by `group`."""
    missing = -len(matrix) % group
    padded = np.pad(matrix, (0, missing))
    return padded.reshape(len(padded) // group, group, -1, group).sum(axis=(1, 3))


def _row_shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _write_names_and_counts(axes, result: ClassificationResult) -> None:
    names = [_shortened(name, 20) for name in result.class_names]
    slope = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slope)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    shares = _row_shares(result.confusion_matrix)
    for (row, column), count in np.ndenumerate(result.confusion_matrix):
        if count:
            color = "white" if shares[row, column] > 0.4 else "black"
            size = 9 if len(names) <= 12 else 7
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=size, color=color)


def _list_confusions(axes, result: ClassificationResult, count: int = 30) -> None:
    """The most frequent mistakes by name."""
    errors = _row_shares(result.confusion_matrix)
    np.fill_diagonal(errors, 0.0)
    worst = [divmod(int(index), len(errors)) for index in np.argsort(-errors, axis=None, kind="stable")[:count]]
    names = [_shortened(name, 24) for name in result.class_names]
    lines = [
        f"{errors[row, column]:.0%}   {names[row]} → {names[column]}" for row, column in worst if errors[row, column]
    ]
    axes.set_axis_off()
    axes.set_title("Most frequent confusions, truth → prediction", loc="left")
    axes.text(0, 0.98, "\n".join(lines), va="top", fontsize=8, linespacing=1.8, parse_math=False)


def _draw_most_wrong(result: ClassificationResult, pictures):
    """The examples with the highest loss, each with its true class and what the model said instead."""
    indices = result.most_wrong()
    columns = min(6, len(indices))
    rows = math.ceil(len(indices) / columns)
    figure = _figure(2.1 * columns, 2.6 * rows + 0.3)
    figure.suptitle(
        "Highest losses: the true class, and below it the prediction (red: wrong)", fontsize=11, x=0.01, ha="left"
    )
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells:
        axes.set_axis_off()
    for axes, index in zip(cells, indices, strict=False):
        _draw_example(axes, pictures[index], result, index)
    return figure


def _draw_example(axes, picture: np.ndarray, result: ClassificationResult, index: int) -> None:
    height, width = picture.shape[:2]
    side = max(height, width)  # a square for every picture, so that the titles of a row are level
    axes.imshow(picture)
    axes.set(xlim=((width - side) / 2 - 0.5, (width + side) / 2 - 0.5))
    axes.set(ylim=((height + side) / 2 - 0.5, (height - side) / 2 - 0.5))
    truth, prediction = result.class_names[result.labels[index]], result.class_names[result.predictions[index]]
    color = BLUE if result.predictions[index] == result.labels[index] else RED
    said = f"{_shortened(prediction, 20)} {result.probabilities[index]:.0%}"
    axes.set_title(_shortened(truth, 26), fontsize=9, pad=16, parse_math=False)
    axes.text(0.5, 1.03, said, transform=axes.transAxes, ha="center", fontsize=8, color=color, parse_math=False)


def _shortened(name: str, length: int) -> str:
    """A name that fits; ImageNet's are lists of synonyms, of which the first is enough."""
    if len(name) > length:
        name = name.partition(",")[0]
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def _power_norm():
    """Colours that show a share of 1 % as well as one of 100 %."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=1)
