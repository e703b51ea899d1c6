"""Keras's own files, `.keras` and `.weights.h5`, read under the package's own names (layout `mixer_tf`)."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras

from mixer_tf.weights.files import Checkpoint, check_file, require_zip
from mixer_tf.weights.layouts import OWN
from mixer_tf.weights.preprocessing import preprocessing_metadata
from mixer_tf.weights.report import one_line
from mixer_tf.weights.resizing import grid_metadata

KERAS_FILES = (".keras", ".weights.h5")


def read_keras(path: Path, model: keras.Model) -> Checkpoint:
    """Read the variables of a Keras file, by `layer/variable`.

    Args:
        path: a `.keras` file, of any model; or a `.weights.h5` file, which names no variables and therefore fits only
            a model like `model`.
        model: the model that the weights are for; it is not changed.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when Keras cannot read the file, does not trust it, or a `.weights.h5` file fits another model; or
            a `.keras` file is no whole zip archive.
    """
    check_file(path)
    if path.suffix == ".keras":
        require_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # with which Keras says that it left a layer out
            saved = _load(path, model)
    except Exception as error:  # Keras raises many kinds, over many lines
        reason = one_line(error)[:300]
        raise ValueError(f"{path} must be a Keras file that fits {model.name}; Keras says: {reason}") from None
    arrays = {binding.names[0]: binding.to_arrays()[0] for binding in OWN.bind(saved)}
    metadata = {"layout": OWN.name, **grid_metadata(saved), **preprocessing_metadata(saved)}
    return Checkpoint(arrays, metadata, path)


def _load(path: Path, model: keras.Model) -> keras.Model:
    if path.suffix == ".keras":
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    clone = keras.models.clone_model(model)  # so that a file that does not fit cannot leave the model half loaded
    clone.load_weights(path)
    return clone
