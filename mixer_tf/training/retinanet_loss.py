"""The loss of RetinaNet (Lin et al. 2017, arXiv 1708.02002), from the parts of keras-cv's."""

from __future__ import annotations

import keras
from keras import ops

from mixer_tf.checks import require
from mixer_tf.layers.anchors import encode, import_keras_cv
from mixer_tf.training.detection_loss import iou_and_giou

_IGNORED, _BACKGROUND, _OBJECT = -2, -1, 1


@keras.saving.register_keras_serializable(package="mixer_tf")
class RetinaNetLoss(keras.losses.Loss):
    """The loss of a `retinanet`, from its output and its labels (`labels_of`); the mean over the pictures.

    An anchor belongs to the object that it overlaps most when their intersection over union is at least
    `positive_threshold`, to the background when it is below `negative_threshold`, and is left out between the two. The
    classes have the focal loss, the boxes a smooth L1 loss of their differences from the anchor; both are sums over the
    anchors of a picture, divided by the number of those with an object, as in the paper.

    In keras-cv's RetinaNet, from whose parts this is made, that number is the batch's; an object that no anchor
    overlaps by `positive_threshold` is never learned (here it has the anchors that overlap it most, unless
    `match_every_object` is False); a batch without objects has no loss at all (here it teaches that there are none);
    and one without rows for objects ends in an error (here not).

    Args:
        box_weight: factor of the boxes' loss.
        positive_threshold: intersection over union, 0 to 1.
        negative_threshold: likewise, at most `positive_threshold`.
        match_every_object: whether an object has at least the anchors that overlap it most.
        alpha: weight of the classes that are there, against `1 - alpha` of those that are not.
        gamma: exponent of the focal loss.
        reduction: Keras's way to combine the pictures of a batch; the default is their mean.
        name: name of the loss.

    Raises:
        ValueError: when an argument lies outside its range or keras-cv cannot be imported.

    Example:
        >>> import numpy as np
        >>> box = [0.0, 0.0, 0.5, 0.5]
        >>> output = np.array([[[*box, *box, 9.0]]])  # a box, its anchor, the logit of one class
        >>> float(RetinaNetLoss()(np.array([[[*box, 0.0]]]), output)) < 1e-6  # the same box, of class 0
        True
    """

    def __init__(
        self,
        box_weight=1.0,
        positive_threshold=0.5,
        negative_threshold=0.4,
        match_every_object=True,
        alpha=0.25,
        gamma=2.0,
        reduction="sum_over_batch_size",
        name="retinanet_loss",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        require(
            0 <= negative_threshold <= positive_threshold <= 1,
            "negative_threshold must be at most positive_threshold, both in 0..1; given: "
            f"{negative_threshold}, {positive_threshold}",
        )
        require(
            0 <= alpha <= 1 and min(box_weight, gamma) >= 0, "alpha must be in 0..1, box_weight and gamma at least 0"
        )
        self.box_weight, self.alpha, self.gamma = box_weight, alpha, gamma
        self.positive_threshold, self.negative_threshold = positive_threshold, negative_threshold
        self.match_every_object = match_every_object
        keras_cv = import_keras_cv()
        self._matcher = keras_cv.layers.BoxMatcher(
            [negative_threshold, positive_threshold], [_BACKGROUND, _IGNORED, _OBJECT], dtype="float32"
        )
        self._focal = keras_cv.losses.FocalLoss(alpha, gamma, from_logits=True, reduction="none", dtype="float32")
        self._smooth_l1 = keras_cv.losses.SmoothL1Loss(reduction="none", dtype="float32")

    def call(self, y_true, y_pred):  # [b, m, 5], [b, n, 8 + k] -> [b]
        """Return the loss of each picture."""
        boxes, anchors, logits = y_pred[..., :4], y_pred[..., 4:8], y_pred[..., 8:]
        objects, classes = _with_nothing(y_true)
        iou, _ = iou_and_giou(anchors[:, :, None], objects[:, None])  # [b, n, m + 1]
        owner, kind = self._match(iou)
        is_object = ops.cast(kind == _OBJECT, "float32")
        labels = ops.one_hot(ops.take_along_axis(classes, owner, axis=1), logits.shape[-1]) * is_object[..., None]
        class_loss = ops.sum(self._focal(labels, logits) * ops.cast(kind != _IGNORED, "float32"), axis=1)
        targets = encode(ops.take_along_axis(objects, owner[..., None], axis=1), anchors)
        box_loss = ops.sum(self._smooth_l1(targets, encode(boxes, anchors)) * is_object, axis=1)
        return (class_loss + self.box_weight * box_loss) / ops.maximum(ops.sum(is_object, axis=1), 1.0)

    def _match(self, iou):
        """For each anchor the index of its object, and whether it is an object's: `[b, n, m] -> int [b, n], [b, n]`."""
        owner, kind = self._matcher(iou)
        if self.match_every_object:  # keras-cv's own way to it also matches what is padding
            is_best = (iou >= ops.max(iou, axis=1, keepdims=True)) & (iou > 0)
            belongs = ops.any(is_best, axis=2)
            owner = ops.where(belongs, ops.cast(ops.argmax(ops.where(is_best, iou, -1.0), axis=2), "int32"), owner)
            kind = ops.where(belongs, _OBJECT, kind)
        return owner, kind

    def get_config(self):
        """Return the arguments."""
        names = ("box_weight", "positive_threshold", "negative_threshold", "match_every_object", "alpha", "gamma")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _with_nothing(labels):
    """The objects and one more, which overlaps nothing, as there must be one to match; so must none of the padding.

    `[b, m, 5] -> [b, m + 1, 4], int [b, m + 1]`. What is padding is said by the class alone: layers that move boxes
    move those of the padding too.
    """
    labels = ops.pad(labels, ((0, 0), (0, 1), (0, 0)), constant_values=-1)
    classes = ops.cast(labels[..., 4], "int32")
    return ops.where((classes >= 0)[..., None], labels[..., :4], -1.0), classes


def unmatched_objects(model: keras.Model, labels, positive_threshold: float = 0.5) -> tuple[int, int]:
    """How many objects no anchor of a `retinanet` overlaps well, so that they are learned badly, or not at all.

    Args:
        model: what `retinanet` gives.
        labels: float32 `[b, m, 5]`, as of `labels_of`.
        positive_threshold: that of the loss.

    Returns:
        The number of such objects, and that of all objects. Where the first is large, `anchor_scale` does not fit.

    Example:
        >>> unmatched_objects(model, labels)  # doctest: +SKIP
        (3, 214)
    """
    anchors = model.get_layer("detector_anchors").anchors
    objects, classes = _with_nothing(ops.convert_to_tensor(labels, "float32"))
    iou, _ = iou_and_giou(anchors[None, :, None], objects[:, None])  # [b, n, m + 1]
    unmatched = (ops.max(iou, axis=1) < positive_threshold) & (classes >= 0)
    return int(ops.sum(unmatched)), int(ops.sum(classes >= 0))
