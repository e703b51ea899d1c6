"""A class for every pixel: one linear layer on the features, resized to the picture.

The head of EANet (Guo et al. 2021, arXiv 2105.02358; reference code MenghaoGuo/EANet, `model_torch.py`).
"""

import keras
from keras import layers

from mixer_tf.heads.checks import check_head
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.initializers import TORCH_UNIFORM
from mixer_tf.layers.mlp import dense
from mixer_tf.layers.resize import AlignedBilinearResize


def segmenter(backbone: keras.Model, num_classes: int, *, dropout: float = 0.1, name: str | None = None) -> keras.Model:
    """Put a segmentation head on a backbone; the model gives logits `[b, H, W, num_classes]` in float32, no softmax.

    A 1x1 convolution gives the logits of every place of the backbone's grid. They are resized to the picture
    bilinearly, the corners of the grid on the corners of the picture.

    Args:
        backbone: a model from `mixer_tf.create_backbone` that reads pictures. The coarser its grid, the blurrier the
            result: `eanet_*` keep one of stride 8 for this.
        num_classes: number of classes, at least 1; Pascal VOC has 21 with the background.
        dropout: rate, 0 to 1, at which whole channels of the features are dropped.
        name: name of the model; None for the backbone's with `_segmenter`.

    Raises:
        ValueError: when the number of classes is below 1 or the backbone reads no pictures.

    Example:
        >>> import mixer_tf as mt
        >>> backbone = mt.create_backbone("eanet_resnet50", image_shape=(64, 96, 3))
        >>> mt.segmenter(backbone, num_classes=21).output.shape
        (None, 64, 96, 21)
    """
    check_head(backbone, num_classes, dropout)
    x = backbone.output  # [b, h, w, c]
    if len(x.shape) != 4:
        raise ValueError(
            "a segmenter must continue a backbone that reads pictures, one of "
            f"mixer_tf.list_backbones(reads='image'); given: {backbone.name}"
        )
    x = layers.SpatialDropout2D(dropout, name="head_dropout")(x) if dropout else x
    x = dense(x, num_classes, kernel_initializer=TORCH_UNIFORM, dtype="float32", name="head")  # [b, h, w, k]
    logits = AlignedBilinearResize(backbone.input.shape[1:3], dtype="float32", name="head_resize")(x)  # [b, H, W, k]
    model = Model(backbone.input, logits, name=name or f"{backbone.name}_segmenter")
    model.preprocessing = getattr(backbone, "preprocessing", None)
    return model
