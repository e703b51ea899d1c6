"""keras-cv's RetinaNet (Lin et al. 2017, arXiv 1708.02002) on any backbone.

Two towers of convolutions, shared by the five levels of a pyramid, say for nine anchors at every place how likely each
class is and how the object's box differs from the anchor. Layers and anchors are keras-cv's; they continue the
backbone's graph, and what `keras_cv.models.RetinaNet` does wrong around them (fit after loading, bfloat16, batches
without objects, suppression across classes) is `Detector`'s and `RetinaNetLoss`'s here.
"""

import itertools
import math

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_type
from mixer_tf.heads.checks import check_head
from mixer_tf.heads.detector import Detector
from mixer_tf.heads.pyramid import feature_pyramid, stage_maps
from mixer_tf.layers.anchors import NUM_ANCHORS, AnchorDecoder, import_keras_cv

_PRIOR = 0.01  # probability of each class at each anchor before training
_WIDTH = 256  # of keras-cv's layers
_NUM_LEVELS = 5


def retinanet(
    backbone: keras.Model,
    num_classes: int,
    *,
    anchor_scale: float = 4.0,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.6,
    max_detections: int = 100,
    name: str | None = None,
) -> Detector:
    """Put keras-cv's RetinaNet on a backbone; it is used as what `detector` gives, but with `RetinaNetLoss`.

    A backbone without three levels gets them from the simple feature pyramid of `detector`. Anchors of a level are 1 to
    1.6 times `anchor_scale` strides large, in three shapes: with 4 and strides from 8, objects with sides below about
    20 pixels fit none well (`mixer_tf.training.retinanet_loss.unmatched_objects` counts them).

    Args:
        backbone: a model from `mixer_tf.create_backbone` that reads pictures; their height and width must be divisible
            by its third level's stride, which is 32 for most.
        num_classes: number of classes, k, at least 1, without a background class.
        anchor_scale: side of a level's smallest anchor in units of its stride, above 0; 2 for small objects.
        score_threshold: as for `Detector`, where it can be changed at any time; so can the next two.
        iou_threshold: likewise.
        max_detections: likewise.
        name: name of the model; None for the backbone's with `_retinanet`.

    Raises:
        ValueError: when an argument lies outside its range, the backbone reads no pictures, their size does not fit
            the pyramid, or keras-cv cannot be imported.

    Example:
        >>> import mixer_tf as mt
        >>> model = mt.retinanet(mt.create_backbone("resnet18", image_shape=(64, 96, 3)), num_classes=3)
        >>> model.compile("adam", loss=mt.training.retinanet_loss.RetinaNetLoss())
        >>> model.output.shape  # 9 anchors at each of 8 x 12 + 4 x 6 + 2 x 3 + 1 x 2 + 1 x 1 places
        (None, 1161, 11)
    """
    check_head(backbone, num_classes, dropout=0.0)
    require_type("anchor_scale", anchor_scale, float)
    require(anchor_scale > 0, f"anchor_scale must be above 0; given: {anchor_scale}")
    import_keras_cv()  # before anything is built
    stages = stage_maps(backbone) or feature_pyramid(backbone, _WIDTH)
    _check_halves(backbone, stages)
    strides = [min(stages) * 2**level for level in range(_NUM_LEVELS)]
    scores = _tower("class", NUM_ANCHORS * num_classes, -math.log((1 - _PRIOR) / _PRIOR))
    boxes = _tower("box", NUM_ANCHORS * 4, 0.0)
    logits, differences = [], []
    for level in _pyramid(list(stages.values())):
        places = math.prod(level.shape[1:3]) * NUM_ANCHORS
        logits.append(ops.reshape(scores(level), (-1, places, num_classes)))
        differences.append(ops.reshape(boxes(level), (-1, places, 4)))
    decoder = AnchorDecoder(strides, anchor_scale, backbone.input.shape[1:3], name="detector_anchors")
    decoded = decoder(ops.concatenate(differences, axis=1))
    outputs = layers.Concatenate(dtype="float32", name="detector_outputs")([decoded, ops.concatenate(logits, axis=1)])
    model = Detector(backbone.input, outputs, name=name or f"{backbone.name}_retinanet")
    model.score_threshold, model.iou_threshold = score_threshold, iou_threshold
    model.max_detections = max_detections
    model.preprocessing = getattr(backbone, "preprocessing", None)
    return model


def _check_halves(backbone: keras.Model, stages) -> None:
    """Refuse sizes for which a map is not twice as large as the next, as keras-cv's pyramid needs them."""
    sizes = [level.shape[1:3] for level in stages.values()]
    if all(fine == 2 * coarse for pair in itertools.pairwise(sizes) for fine, coarse in zip(*pair, strict=True)):
        return
    stride, size = list(stages)[-1], backbone.input.shape[1:3]
    nearest = [max(1, round(side / stride)) * stride for side in size]
    raise ValueError(
        f"image_size must be divisible by {stride} for a RetinaNet on {backbone.name}; given: {size[0]}x{size[1]}; "
        f"nearest: {nearest[0]}x{nearest[1]}"
    )


def _pyramid(maps):
    """Maps of one width at five strides, from three.

    `call` continues the graph by the pyramid's own layers; as one layer it would give the two coarsest maps wrong
    shapes, and lose its precision in a file.
    """
    pyramid = import_keras_cv().models.retinanet.FeaturePyramid()
    for name, layer in vars(pyramid).items():
        if isinstance(layer, layers.Conv2D):
            layer.name = f"detector_{name}"
    return pyramid.call(dict(zip(("P3", "P4", "P5"), maps, strict=True)))


def _tower(name: str, num_outputs: int, bias: float):
    """Convolutions that every level goes through, part of the graph one by one as those of the pyramid."""
    head = import_keras_cv().models.retinanet.PredictionHead(num_outputs, keras.initializers.Constant(bias))
    for i, layer in enumerate(head.conv_layers, start=1):
        layer.name = f"detector_{name}_conv{i}"
    head.prediction_layer.name = {"class": "detector_scores", "box": "detector_differences"}[name]
    return head.call
