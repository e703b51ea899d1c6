"""Keras's own files, `.keras` and `.weights.h5`, read under the package's own names (layout `mixer_tf`)."""

from __future__ import annotations

from pathlib import Path

import keras

from mixer_tf.weights.files import Checkpoint, check_file
from mixer_tf.weights.layouts import OWN
from mixer_tf.weights.positions import grid_metadata
from mixer_tf.weights.preprocessing import preprocessing_metadata

KERAS_FILES = (".keras", ".weights.h5")


def read_keras(path: Path, model: keras.Model) -> Checkpoint:
    """Read the variables of a Keras file, by `layer/variable`.

    Args:
        path: a `.keras` file, of any model; or a `.weights.h5` file, which names no variables and therefore fits only
            a model like `model`.
        model: the model that the weights are for; it is not changed.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when Keras cannot read the file, does not trust it, or a `.weights.h5` file fits another model.
    """
    check_file(path)
    try:
        if path.suffix == ".keras":
            saved = keras.saving.load_model(path, compile=False, safe_mode=True)
        else:
            saved = keras.models.clone_model(model)  # the model itself must not be left half loaded
            saved.load_weights(path)
    except Exception as error:  # Keras raises many kinds, over many lines
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must be a Keras file that fits {model.name}; Keras says: {reason[:300]}") from None
    arrays = {binding.names[0]: binding.to_arrays()[0] for binding in OWN.bind(saved)}
    return Checkpoint(arrays, {**grid_metadata(saved), **preprocessing_metadata(saved)}, path)
