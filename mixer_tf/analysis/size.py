"""How large a model is."""

import math

import keras

NOT_LEARNED = ("moving_mean", "moving_variance", "seed_generator_state")


def count_parameters(model: keras.Model) -> int:
    """Number of weights as papers count them: without BatchNormalization's moving statistics.

    `model.count_params()` counts those too.

    Example:
        >>> import mixer_tf as mt
        >>> count_parameters(mt.classifier(mt.create_backbone("resnet18"), num_classes=1000))
        11689512
    """
    return sum(math.prod(weight.shape) for weight in model.weights if weight.name not in NOT_LEARNED)
