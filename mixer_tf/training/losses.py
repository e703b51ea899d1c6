"""The two losses of image classification, from logits and from labels that may be mixed."""

from __future__ import annotations

import keras
from keras import ops


def create_loss(kind: str, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Create a classification loss; it takes labels and logits `[b, k]` and averages over the batch.

    Args:
        kind: `"softmax"`: cross-entropy of one class against the others;
            `"sigmoid"`: binary cross-entropy of every class by itself, summed over the classes.
        label_smoothing: share of the label that is spread evenly over all `k` classes, in [0, 1).

    Returns:
        A Keras loss. Labels are one-hot or mixed (MixUp, CutMix) rows; the loss is computed in float32.

    Raises:
        ValueError: if the kind is unknown or `label_smoothing` lies outside its range.

    Example:
        >>> import numpy as np
        >>> loss = create_loss("softmax", label_smoothing=0.1)
        >>> float(loss(np.eye(2), np.zeros((2, 2))))
        0.6931471824645996
    """
    if kind not in LOSSES:
        raise ValueError(f"the loss must be one of {', '.join(LOSSES)}; given: {kind!r}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be in [0, 1); given: {label_smoothing}")
    return LOSSES[kind](label_smoothing)


@keras.saving.register_keras_serializable(package="mixer_tf")
class SigmoidCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy from logits, summed over the classes. Beyer et al. 2020, arXiv 2006.07159.

    The sum, as in big_vision, makes the gradient of a logit `sigmoid(logit) - label` whatever the number of classes: of
    the size of the softmax loss's, so that a learning rate and a clip norm fit both. ("ResNet strikes back" and timm
    take the mean over the classes, 1/k of it: AdamW and LAMB make the same steps from it, a clip norm does not.)

    Args:
        label_smoothing: share of the label that is spread evenly over all classes, in [0, 1).
        reduction: Keras's way to combine the examples of a batch; the default is their mean.
        name: name of the loss.

    Example:
        >>> import numpy as np
        >>> float(SigmoidCrossEntropy()(np.eye(3), np.zeros((3, 3))))  # 3 log 2
        2.079441547393799
    """

    def __init__(self, label_smoothing=0.0, reduction="sum_over_batch_size", name="sigmoid_cross_entropy"):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):  # [b, k], [b, k] -> [b]
        """Return the loss of each example."""
        labels = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / y_true.shape[-1]
        return ops.sum(ops.binary_crossentropy(labels, y_pred, from_logits=True), axis=-1)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _softmax(label_smoothing: float) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing, dtype="float32")


LOSSES = {"softmax": _softmax, "sigmoid": SigmoidCrossEntropy}
