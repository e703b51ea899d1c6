"""Which places of a detector belong to which object, and how far its predictions are from the truth.

Task-aligned assignment: TOOD, Feng et al. 2021, arXiv 2108.07755. Boxes: generalised IoU, Rezatofighi et al. 2019,
arXiv 1902.09630. Classes: binary cross-entropy against the quality of the box (Li et al. 2020, arXiv 2006.04388).
"""

from __future__ import annotations

import keras
from keras import ops

from mixer_tf.checks import require

_TINY = 1e-9


@keras.saving.register_keras_serializable(package="mixer_tf")
class DetectionLoss(keras.losses.Loss):
    """The loss of a `mixer_tf.detector`, the mean over the pictures.

    It takes labels as of `mixer_tf.heads.detector.labels_of` and the output of the model.

    Every object takes the `top_k` places in it that predict it best, by `probability ** alpha * IoU ** beta`; of two
    objects that take the same place, the one with the higher IoU has it. A place of an object should give its class the
    probability of its quality, that is its alignment scaled to the object's best IoU, and every other place 0; its box
    should be the object's. Both parts are sums over the places of a picture, divided by the sum of its qualities or by
    1, whichever is larger. A picture without objects teaches its places that there are none.

    Args:
        box_weight: factor of `1 - GIoU` beside the cross-entropy.
        top_k: number of places of an object, at least 1.
        alpha: exponent of the probability.
        beta: exponent of the IoU.
        reduction: Keras's way to combine the pictures of a batch; the default is their mean.
        name: name of the loss.

    Raises:
        ValueError: when an argument lies outside its range.

    Example:
        >>> import numpy as np
        >>> place = [0.0, 0.0, 0.5, 0.5]
        >>> output = np.array([[[0.0, 0.0, 1.0, 1.0, *place, 9.0]]])  # a box, its place, the logit of one class
        >>> labels = np.array([[[0.0, 0.0, 1.0, 1.0, 0.0]]])  # the same box, of class 0
        >>> round(float(DetectionLoss()(labels, output)), 4)
        0.0001
    """

    def __init__(
        self,
        box_weight=2.5,
        top_k=10,
        alpha=0.5,
        beta=6.0,
        reduction="sum_over_batch_size",
        name="detection_loss",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        require(top_k >= 1, f"top_k must be at least 1; given: {top_k}")
        require(min(box_weight, alpha, beta) >= 0, "box_weight, alpha and beta must be at least 0")
        self.box_weight, self.top_k, self.alpha, self.beta = box_weight, top_k, alpha, beta

    def call(self, y_true, y_pred):  # [b, m, 5], [b, n, 8 + k] -> [b]
        """Return the loss of each picture."""
        boxes, _cells, logits = y_pred[..., :4], y_pred[..., 4:8], y_pred[..., 8:]
        objects, classes = y_true[..., :4], ops.cast(y_true[..., 4], "int32")
        if objects.shape[1] == 0:  # no picture of the batch has an object, and there is nothing to take the maximum of
            return ops.sum(ops.softplus(logits), axis=(1, 2))
        owner, quality = self._assign(ops.stop_gradient(y_pred), objects, classes)
        labels = ops.one_hot(ops.take_along_axis(classes, owner, axis=1), logits.shape[-1]) * quality[..., None]
        class_loss = ops.sum(ops.binary_crossentropy(labels, logits, from_logits=True), axis=(1, 2))
        targets = ops.take_along_axis(objects, owner[..., None], axis=1)  # [b, n, 4]
        _, giou = iou_and_giou(targets, boxes)
        box_loss = ops.sum((1.0 - giou) * quality, axis=1)
        return (class_loss + self.box_weight * box_loss) / ops.maximum(ops.sum(quality, axis=1), 1.0)

    def _assign(self, y_pred, objects, classes):
        """For each place the index of its object and the quality that its score should show, 0 for background.

        `[b, n, 8 + k], [b, m, 4], [b, m] -> int [b, n], [b, n]`.
        """
        boxes, cells, logits = y_pred[..., :4], y_pred[..., 4:8], y_pred[..., 8:]
        iou, _ = iou_and_giou(objects[:, :, None], boxes[:, None])  # [b, m, n]
        one_hot = ops.one_hot(ops.maximum(classes, 0), logits.shape[-1])
        probability = ops.einsum("bmk,bnk->bmn", one_hot, ops.sigmoid(logits))
        allowed = _inside(cells, objects) & (classes >= 0)[..., None]
        alignment = ops.where(allowed, probability**self.alpha * iou**self.beta, 0.0)
        best = ops.top_k(alignment, min(self.top_k, alignment.shape[-1]))[0]  # [b, m, top_k]
        chosen = (alignment >= best[..., -1:]) & (alignment > 0)
        owner = ops.argmax(ops.where(chosen, iou, -1.0), axis=1)  # [b, n]
        chosen &= ops.expand_dims(owner, 1) == ops.arange(ops.shape(objects)[1], dtype=owner.dtype)[:, None]
        alignment, iou = ops.where(chosen, alignment, 0.0), ops.where(chosen, iou, 0.0)
        best_iou, best_alignment = ops.max(iou, axis=2), ops.max(alignment, axis=2)  # [b, m]
        relative = alignment / ops.where(best_alignment > 0, best_alignment, 1.0)[..., None]  # however small both are
        return owner, ops.max(relative * best_iou[..., None], axis=1)

    def get_config(self):
        """Return the arguments."""
        names = ("box_weight", "top_k", "alpha", "beta")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _inside(cells, objects):
    """Whether the middle of a place lies in an object, or in a place around its middle where the object is smaller.

    `[b, n, 4], [b, m, 4] -> bool [b, m, n]`.
    """
    centres = (cells[..., :2] + cells[..., 2:]) / 2  # [b, n, 2]
    middles = (objects[..., :2] + objects[..., 2:]) / 2  # [b, m, 2]
    sides = ops.maximum((objects[..., 2:] - objects[..., :2])[:, :, None], (cells[..., 2:] - cells[..., :2])[:, None])
    return ops.all(ops.abs(centres[:, None] - middles[:, :, None]) <= sides / 2, axis=-1)


def iou_and_giou(a, b):
    """Intersection over union of boxes y1, x1, y2, x2 (0 to 1), and its generalised form (-1 to 1).

    `[..., 4], [..., 4] -> [...], [...]`; the leading axes are broadcast against each other.

    Example:
        >>> import numpy as np
        >>> iou, giou = iou_and_giou(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.5, 1.0, 1.5]))
        >>> round(float(iou), 4), round(float(giou), 4)
        (0.3333, 0.3333)
    """
    overlap = _area(ops.maximum(a[..., :2], b[..., :2]), ops.minimum(a[..., 2:], b[..., 2:]))
    hull = _area(ops.minimum(a[..., :2], b[..., :2]), ops.maximum(a[..., 2:], b[..., 2:]))
    union = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - overlap
    iou = overlap / ops.maximum(union, _TINY)
    return iou, iou - (hull - union) / ops.maximum(hull, _TINY)


def _area(top_left, bottom_right):
    height, width = (ops.maximum(bottom_right[..., i] - top_left[..., i], 0.0) for i in (0, 1))
    return height * width
