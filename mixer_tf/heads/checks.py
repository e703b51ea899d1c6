"""What every head asks of its arguments."""

import keras

from mixer_tf.checks import require, require_type


def check_head(backbone: keras.Model, num_classes: int, dropout: float) -> None:
    """Refuse what is no model, a number of classes below 1 and a rate outside [0, 1).

    Raises:
        ValueError: in one of these cases.
    """
    require_type("backbone", backbone, keras.Model)
    require_type("num_classes", num_classes, int)
    require(num_classes >= 1, f"num_classes must be at least 1; given: {num_classes}")
    require_type("dropout", dropout, float)
    require(0 <= dropout < 1, f"dropout must be in [0, 1); given: {dropout}")
