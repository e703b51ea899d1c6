"""The pictures that a run on masked tokens leaves: its curves, and for pictures what it sees and says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mixer_tf.analysis.pictures import draw_hidden_parts, draw_learning_curves, save
from mixer_tf.analysis.report import read_history
from mixer_tf.data.masking import NOT_SCORED

LEVELS = {"marginal_loss": "without looking", "bayes_loss": "best possible"}


def write_curves(directory: Path, metrics: Mapping[str, float]) -> Path:
    """Write `learning_curves.png`, of the run's `history.csv`, with the levels of the loss that are known."""
    levels = {name: metrics[figure] for figure, name in LEVELS.items() if figure in metrics}
    curves = draw_learning_curves(read_history(directory / "history.csv"), levels)
    return save(curves, directory / "learning_curves.png")


def write_hidden_parts(directory: Path, model, batch, *, count: int = 8) -> Path:
    """Write `masked.png`: some pictures, what the model sees of them, and what it says about the hidden patches.

    A caption says what the rows show, and frames which units were hidden, and how.

    Args:
        directory: where the picture goes.
        model: a `mixer_tf.masked_image_model` with its `preprocessing`.
        batch: of `mixer_tf.data.masked_images.eval_masked_images`, whose labels are colours or pixels.
        count: number of pictures at most.
    """
    part = {name: np.asarray(tensor)[:count] for name, tensor in batch.items()}
    inputs = {name: part[name] for name in model.input}
    outputs = np.asarray(model(inputs, training=False))
    labels, kinds = part["labels"], part["kinds"]
    if labels.ndim == 3:  # classes
        true, said = _painted(labels), _painted(outputs.argmax(axis=-1))
        asked = "mean colour in 3 bits a channel"
    else:
        true, said = _normalized_pixels(labels), _normalized_pixels(outputs)
        asked = "pixels, with mean and variance set to those of all others"
    guess = np.where(kinds[..., None, None, None] != NOT_SCORED, said, true)
    rows = {"truth": _joined(true), "seen": _seen(model, inputs), "guess": _joined(guess)}
    caption = (
        f"truth: what is asked for, each patch's {asked}\nseen: the picture as the model gets it\n"
        "guess: what it says of the framed units, beside the truth of the others"
    )
    side = kinds.shape[1] // part["masked_units"].shape[1]  # patches of a unit
    return save(draw_hidden_parts(rows, kinds[:, ::side, ::side], caption), directory / "masked.png")


def _seen(model, inputs) -> np.ndarray:
    """The pictures with the tile in its places, as the backbone gets them, in colours: uint8 [n, H, W, 3]."""
    import keras

    covered = keras.Model(model.input, model.get_layer("mask_tile").output)(inputs)
    pixels = np.asarray(covered) * model.preprocessing.std + model.preprocessing.mean
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _painted(classes: np.ndarray) -> np.ndarray:
    """The colour in the middle of each class, uint8 [n, h, w, 1, 1, 3]."""
    colors = np.stack([classes // 64, classes // 8 % 8, classes % 8], axis=-1)
    return (32 * colors + 16).astype(np.uint8)[..., None, None, :]


def _normalized_pixels(patches: np.ndarray) -> np.ndarray:
    """Patches of mean 0 and deviation 1, float [n, h, w, 3 t t], around grey: uint8 [n, h, w, t, t, 3]."""
    side = round((patches.shape[-1] // 3) ** 0.5)
    pixels = np.clip(128 + 50 * patches, 0, 255).astype(np.uint8)
    return pixels.reshape(*patches.shape[:-1], side, side, 3)


def _joined(patches: np.ndarray) -> np.ndarray:
    """[n, h, w, t, t, 3] -> [n, h t, w t, 3]."""
    n, h, w, t, _, channels = patches.shape
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * t, w * t, channels)
