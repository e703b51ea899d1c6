"""An anchor-free object detector on any backbone.

A tower of convolutions, shared by all levels of a pyramid, says for every place the class of the object that it belongs
to and the distances to the four sides of its box (FCOS, Tian et al. 2019, arXiv 1904.01355). Which places belong to an
object is decided by their own predictions (TOOD, Feng et al. 2021, arXiv 2108.07755; `training/detection_loss.py`).
"""

import math
import typing

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_type
from mixer_tf.heads.checks import check_head
from mixer_tf.heads.pyramid import feature_pyramid
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.box_decoder import BoxDecoder
from mixer_tf.suppression import best_objects

_PRIOR = 0.01  # probability of each class at each place before training, as in RetinaNet
_GROUPS = 16  # of the norms


def labels_of(objects):
    """The labels of a batch in the one form that `DetectionLoss` takes: float32 `[b, m, 5]`.

    Each row has y1, x1, y2, x2 as shares of the picture's height and width, and the class, which is -1 where a picture
    has fewer than m objects.

    Args:
        objects: such a tensor already; or a dict of `boxes` `[b, m, 4]` and `classes` `[b, m]` (or `labels`), padded
            with the class -1, or both `tf.RaggedTensor`s.

    Example:
        >>> import numpy as np
        >>> labels_of({"boxes": np.zeros((2, 3, 4)), "classes": np.array([[4, 7, -1], [-1, -1, -1]])}).shape
        TensorShape([2, 4, 5])
    """
    if not isinstance(objects, dict):
        return objects
    key = "labels" if "labels" in objects else "classes"
    require(
        {"boxes", key} <= objects.keys(),
        f"labels of a detector must be a dict with boxes and classes; given: {', '.join(sorted(objects))}",
    )
    boxes, classes = objects["boxes"], objects[key]
    if hasattr(boxes, "to_tensor"):
        boxes = boxes.to_tensor(shape=[None, None, 4])
    if hasattr(classes, "to_tensor"):
        classes = classes.to_tensor(-1)
    labels = ops.concatenate([ops.cast(boxes, "float32"), ops.cast(classes, "float32")[..., None]], axis=-1)
    return ops.pad(labels, [[0, 0], [0, 1], [0, 0]], constant_values=-1)  # a row also where no picture has an object


def detector(
    backbone: keras.Model,
    num_classes: int,
    *,
    width: int = 256,
    num_convs: int = 2,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.6,
    max_detections: int = 100,
    name: str | None = None,
) -> "Detector":
    """Put an object detector on a backbone; `fit` trains it, `predict` gives boxes.

    Args:
        backbone: a model from `mixer_tf.create_backbone` that reads pictures.
        num_classes: number of classes, k, at least 1, without a background class.
        width: channels of the pyramid and of the head; a multiple of 16.
        num_convs: number of 3x3 convolutions of each of the head's two towers.
        score_threshold: as for `Detector`, where it can be changed at any time; so can the next two.
        iou_threshold: likewise.
        max_detections: likewise.
        name: name of the model; None for the backbone's with `_detector`.

    Raises:
        ValueError: when an argument lies outside its range, the backbone reads no pictures, or they are too small for
            the pyramid.

    Example:
        >>> import numpy as np
        >>> import mixer_tf as mt
        >>> model = detector(mt.create_backbone("resnet18", image_shape=(64, 96, 3)), num_classes=3, width=32)
        >>> model.output.shape  # 8 x 12 + 4 x 6 + 2 x 3 places, each with its box, itself and 3 logits
        (None, 126, 11)
        >>> model.predict(np.zeros((2, 64, 96, 3)), verbose=0)["boxes"].shape
        (2, 100, 4)
    """
    check_head(backbone, num_classes, dropout=0.0)
    for argument, value in (("width", width), ("num_convs", num_convs)):
        require_type(argument, value, int)
    require(width >= 1 and width % _GROUPS == 0, f"width must be a multiple of {_GROUPS}; given: {width}")
    require(num_convs >= 0, f"num_convs must be at least 0; given: {num_convs}")
    pyramid = feature_pyramid(backbone, width)
    class_tower, box_tower = _tower("class", width, num_convs), _tower("box", width, num_convs)
    scores = layers.Conv2D(
        num_classes,
        3,
        padding="same",
        kernel_initializer={"class_name": "RandomNormal", "config": {"stddev": 0.01}},
        bias_initializer=keras.initializers.Constant(-math.log((1 - _PRIOR) / _PRIOR)),
        dtype="float32",
        name="detector_scores",
    )
    boxes = layers.Conv2D(
        4,
        3,
        padding="same",
        kernel_initializer={"class_name": "RandomNormal", "config": {"stddev": 0.01}},
        dtype="float32",
        name="detector_distances",
    )
    predictions = []
    for i, (stride, level) in enumerate(pyramid.items(), start=1):
        decoder = BoxDecoder(stride, backbone.input.shape[1:3], name=f"detector_boxes{i}")
        logits = ops.reshape(scores(class_tower(level)), (-1, math.prod(level.shape[1:3]), num_classes))
        predictions.append(ops.concatenate([decoder(boxes(box_tower(level))), logits], axis=-1))
    outputs = layers.Concatenate(axis=1, dtype="float32", name="detector_outputs")(predictions)
    model = Detector(backbone.input, outputs, name=name or f"{backbone.name}_detector")
    model.score_threshold, model.iou_threshold = score_threshold, iou_threshold
    model.max_detections = max_detections
    model.preprocessing = getattr(backbone, "preprocessing", None)
    return model


def _tower(name: str, width: int, num_convs: int):
    """Layers that every level goes through; each level has statistics of its own in their norms."""
    tower = []
    for i in range(1, num_convs + 1):
        tower += [
            layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"detector_{name}_conv{i}"),
            layers.GroupNormalization(_GROUPS, epsilon=1e-5, name=f"detector_{name}_norm{i}"),
            Activation("silu", name=f"detector_{name}_silu{i}"),
        ]

    def apply(x):
        for layer in tower:
            x = layer(x)
        return x

    return apply


@keras.saving.register_keras_serializable(package="mixer_tf")
class Detector(Model):
    """A functional model of `detector`: its output is for training, what `predict` gives is for people.

    The output is float32 `[b, n, 8 + k]`, for each of n places of the pyramid: its box, the place itself (both y1, x1,
    y2, x2 as shares of the picture's height and width) and k logits. `predict` gives a dict of

    * `boxes` float32 `[b, d, 4]`, y1, x1, y2, x2 as shares of the picture's height and width, in [0, 1];
    * `scores` float32 `[b, d]`, falling;
    * `classes` int32 `[b, d]`;
    * `num_detections` int32 `[b]`; boxes, scores and classes behind that many are -1;

    with d = `max_detections`. It needs TensorFlow; training does not.

    It is compiled with `mixer_tf.training.detection_loss.DetectionLoss()`, and `fit` takes labels in the forms of
    `labels_of` beside it.

    Attributes:
        score_threshold: objects below this score are left out, 0 to 1; 0.05 or less for average precision, 0.3 or more
            for people.
        iou_threshold: of two boxes of one class that overlap more than this (intersection over union, 0 to 1) the one
            with the lower score is left out.
        max_detections: at most so many objects of a picture.
        max_candidates: number of places with the highest scores that are looked at.

    Example:
        >>> import numpy as np
        >>> import mixer_tf as mt
        >>> detector = mt.detector(mt.create_backbone("resnet18", image_shape=(64, 96, 3)), num_classes=3, width=32)
        >>> detector.score_threshold = 0.3  # whenever one likes; nothing has to be built or compiled again
        >>> detector.predict(np.zeros((2, 64, 96, 3)), verbose=0)["num_detections"].tolist()  # not trained yet
        [0, 0]
    """

    _RANGES: typing.ClassVar = {
        "score_threshold": (float, 0, 1),
        "iou_threshold": (float, 0, 1),
        "max_detections": (int, 1, math.inf),
        "max_candidates": (int, 1, math.inf),
    }
    score_threshold: float = 0.05
    iou_threshold: float = 0.6
    max_detections: int = 100
    max_candidates: int = 1000

    def __setattr__(self, name, value):
        if name in self._RANGES:
            kind, low, high = self._RANGES[name]
            require_type(name, value, kind)
            require(low <= value <= high, f"{name} must lie in {low}..{high}; given: {value}")
            self.predict_function = None  # which holds the old value
        super().__setattr__(name, value)

    @property
    def num_classes(self) -> int:
        """Number of classes, k."""
        return self.output.shape[-1] - 8

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Keras's own, on labels in any form of `labels_of`."""
        return super().compute_loss(x, labels_of(y), y_pred, sample_weight, training)

    def predict_step(self, data):
        """The objects of one batch of pictures."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.detect(self(x, training=False))

    def detect(self, outputs) -> dict[str, keras.KerasTensor]:
        """The objects that the output of the model shows: what `predict` gives, for a graph of one's own.

        Args:
            outputs: float32 `[b, n, 8 + k]`, what `model(images)` gives.
        """
        settings = {name: getattr(self, name) for name in self._RANGES}
        return best_objects(outputs[..., :4], outputs[..., 8:], **settings)

    def get_config(self):
        """The functional model's config and the thresholds."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self._RANGES}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of `get_config`, its thresholds included."""
        config = dict(config)
        settings = {name: config.pop(name) for name in cls._RANGES if name in config}
        model = super().from_config(config, custom_objects=custom_objects)
        for name, value in settings.items():
            setattr(model, name, value)
        return model
