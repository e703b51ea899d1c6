"""The image classifier: pool the features, then one Dense layer."""

import keras
from keras import layers

from mixer_tf.heads.checks import check_head
from mixer_tf.heads.multi_level import fold_levels
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.norms import LayerNormalization


def classifier(
    backbone: keras.Model,
    num_classes: int,
    *,
    pool: str | None = None,
    norm_epsilon: float | None = None,
    pre_logits_dim: int | None = None,
    dropout: float = 0.0,
    bias_initializer: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """Put a classification head on a backbone; the model gives logits `[b, num_classes]` in float32, without softmax.

    Args:
        backbone: a model from `mixer_tf.create_backbone`.
        num_classes: number of classes, at least 1.
        pool: `"average"` over the grid, `"token"` (the class token) or `"multi_level"` (RaftMLP's head on the end of
            every stage); None for what the backbone was published with: the token where there is one.
        norm_epsilon: normalise the pooled features with this epsilon (for a ViT built with `final_norm=False`); None
            for what the backbone was published with (`backbone.classifier_arguments`): mostly no norm here.
        pre_logits_dim: width of a Dense layer with tanh before the head, as in ViT's ImageNet-21k checkpoints; None for
            none.
        dropout: rate before the head, 0 to 1.
        bias_initializer: initial bias of the head; -6.9 starts a sigmoid loss over 1,000 classes near its prior.
        name: name of the model; None for the backbone's with `_classifier`.

    Raises:
        ValueError: when the number of classes is below 1, the pool is unknown, or it wants a class token that the
            backbone does not have.

    Example:
        >>> import mixer_tf as mt
        >>> model = mt.classifier(mt.create_backbone("resnet18", image_shape=(64, 96, 3)), num_classes=7)
        >>> model.output.shape
        (None, 7)
    """
    check_head(backbone, num_classes, dropout)
    published = getattr(backbone, "classifier_arguments", None) or {}
    norm_epsilon = published.get("norm_epsilon") if norm_epsilon is None else norm_epsilon
    x = _pooled(backbone, pool or published.get("pool"))  # [b, c]
    x = LayerNormalization(epsilon=norm_epsilon, name="head_norm")(x) if norm_epsilon is not None else x
    x = layers.Dense(pre_logits_dim, activation="tanh", name="pre_logits")(x) if pre_logits_dim else x
    x = layers.Dropout(dropout, name="head_dropout")(x) if dropout else x
    logits = layers.Dense(
        num_classes,
        kernel_initializer="zeros",  # as in the papers: the first prediction is the same for every picture
        bias_initializer=keras.initializers.Constant(bias_initializer),
        dtype="float32",
        name="head",
    )(x)
    model = Model(backbone.input, logits, name=name or f"{backbone.name}_classifier")
    model.preprocessing = getattr(backbone, "preprocessing", None)
    return model


def _pooled(backbone: keras.Model, pool: str | None):
    """The vector `[b, c]` that stands for the whole picture."""
    if "token_ids" in {tensor.name for tensor in backbone.inputs}:
        raise ValueError(f"a classifier must continue a backbone that reads pictures; {backbone.name} reads text")
    layer_names = {layer.name for layer in backbone.layers}
    pool = pool or ("token" if "class_token" in layer_names else "average")
    if pool == "average":
        return layers.GlobalAveragePooling2D(name="head_pool")(backbone.output)
    if pool == "multi_level":
        return fold_levels(backbone)
    if pool != "token":
        raise ValueError(f"pool must be 'average', 'token' or 'multi_level'; given: {pool!r}")
    if "class_token" not in layer_names:
        raise ValueError(f"pool 'token' needs a backbone with a class token; {backbone.name} has none: use 'average'")
    return backbone.get_layer("norm").output[:, 0]
