"""How large a model is."""

import math

import keras

NOT_LEARNED = ("moving_mean", "moving_variance", "seed_generator_state")


def count_parameters(model: keras.Model) -> int:
    """Number of weights as papers count them: without BatchNormalization's moving statistics.

    `model.count_params()` counts those too.

    Example:
        >>> count_parameters(mt.classifier(mt.create_backbone("resnet50"), 1000))
        25557032
    """
    return sum(math.prod(weight.shape) for weight in model.weights if weight.name not in NOT_LEARNED)
