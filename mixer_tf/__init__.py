"""Every architecture from the CNN to the visual MLPs of 2021 as Keras 3 backbones, equal to their authors' code.

Example:
    >>> import mixer_tf as mt
    >>> backbone = mt.create_backbone("mlp_mixer_s16", image_shape=(224, 224, 3))
    >>> model = mt.classifier(backbone, num_classes=10)
"""

from mixer_tf.backbones import create_backbone, list_backbones
from mixer_tf.export import export
from mixer_tf.heads.causal_language import causal_language_model
from mixer_tf.heads.classifier import classifier
from mixer_tf.heads.detector import detector
from mixer_tf.heads.masked_image import masked_image_model
from mixer_tf.heads.masked_language import masked_language_model
from mixer_tf.heads.retinanet import retinanet
from mixer_tf.heads.segmentation import segmenter
from mixer_tf.training import (  # noqa: F401  `.keras` files name their classes
    detection_loss,
    losses,
    optimizers,
    retinanet_loss,
    schedules,
)
from mixer_tf.weights import load_weights, save_weights

__version__ = "0.1.0"

__all__ = [
    "causal_language_model",
    "classifier",
    "create_backbone",
    "detector",
    "export",
    "list_backbones",
    "load_weights",
    "masked_image_model",
    "masked_language_model",
    "retinanet",
    "save_weights",
    "segmenter",
]
