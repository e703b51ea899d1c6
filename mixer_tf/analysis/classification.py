"""The figures of a finished classifier: accuracy, loss, and which class it takes for which."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


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
    import tensorflow as tf

    @tf.function(reduce_retracing=True)  # and not `predict`, which needs all workers and splits the batches
    def logits_of(images):
        return model(images, training=False)

    batches = [(logits_of(images).numpy(), np.argmax(labels, axis=1)) for images, labels in dataset]
    logits, labels = zip(*batches, strict=True)
    return np.concatenate(logits), np.concatenate(labels)


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
