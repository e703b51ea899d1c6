"""Published checkpoints into our models and back: renamed, re-laid, resized; strictly, and nothing in a file is run."""

from mixer_tf.weights.loading import load_weights
from mixer_tf.weights.report import LoadReport, WeightsMismatch
from mixer_tf.weights.saving import save_weights

__all__ = ["LoadReport", "WeightsMismatch", "load_weights", "save_weights"]
