"""COCO's figures of a detector after each epoch, for those that stop a run, or keep its best weights, by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np

from mixer_tf.analysis.coco import FIGURES, require_pycocotools
from mixer_tf.analysis.detection import evaluate_detections, in_originals, predict_detections, prediction_function
from mixer_tf.checks import require
from mixer_tf.training.strategy import is_chief, numbers_of_chief


class CocoMetrics(keras.callbacks.Callback):
    """Evaluate a detector on whole pictures, as `val_AP`, `val_AP50`, `val_AP75`, `val_APs` ... `val_AR100` ...

    It writes into the epoch's `logs`, so it stands before whatever reads them: `EarlyStopping(monitor="val_AP",
    mode="max")`, `ModelCheckpoint`, `HistoryFile`. A size that no object has is no figure, as in
    `DetectionResult.metrics`. Of several workers the chief evaluates, while the others wait, and all have its figures.

    Args:
        evaluation_data: `evaluation_data()` gives the batches of (images, labels), every picture once.
        truths: of the pictures in the same order, as `mixer_tf.analysis.detection.evaluate_detections` takes them.
        class_names: the names of the classes.
        to_original: `to_original(boxes, truth)` turns boxes [m, 4] relative to the model's input into such relative to
            the original picture; None where the two are the same.
        every: number of epochs between two evaluations.

    Raises:
        ValueError: if pycocotools is not installed, or the truths are not those of the data.
    """

    def __init__(
        self,
        evaluation_data: Callable[[], Iterable],
        truths: Sequence[Mapping],
        class_names: Sequence[str],
        *,
        to_original: Callable[[np.ndarray, Mapping], np.ndarray] | None = None,
        every: int = 1,
    ):
        super().__init__()
        require_pycocotools()
        require(every >= 1, f"every must be 1 or more epochs; given: {every}")
        self.evaluation_data, self.truths, self.class_names = evaluation_data, truths, class_names
        self.to_original, self.every = to_original, every

    def set_model(self, model):
        """Build the graph of predictions once, and not in every epoch."""
        super().set_model(model)
        self.predict = prediction_function(model)

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures to the logs."""
        if (epoch + 1) % self.every:
            return
        strategy = self.model.distribute_strategy
        figures = self._figures() if is_chief(strategy) else dict.fromkeys(FIGURES, 0.0)
        values = numbers_of_chief(strategy, [figures[name] for name in FIGURES])
        logs.update({f"val_{name}": value for name, value in zip(FIGURES, values, strict=True) if math.isfinite(value)})

    def _figures(self) -> dict[str, float]:
        predictions = predict_detections(self.model, self.evaluation_data(), self.predict)
        if self.to_original is not None:
            predictions = in_originals(predictions, self.truths, self.to_original)
        return evaluate_detections(self.truths, predictions, self.class_names).figures
