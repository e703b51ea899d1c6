"""The serving signature of an image classifier."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from mixer_tf.data.images import decode_image
from mixer_tf.data.preprocess import Preprocessing


def add_classification(
    archive: keras.export.ExportArchive,
    model: keras.Model,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
    activation: str,
) -> None:
    """Add `serving_default`: encoded pictures `[b]` -> `scores` and `classes`, both `[b, k]`.

    The archive does not `track` the model: that would store every variable twice (Keras 3.15), and the endpoint tracks
    what it uses by itself.
    """
    scores_of = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[activation]
    picture = tf.TensorSpec((*preprocessing.image_size, 3), tf.float32)

    def serve(image_bytes):
        images = tf.map_fn(
            lambda encoded: preprocessing(decode_image(encoded)), image_bytes, fn_output_signature=picture
        )
        scores = scores_of(tf.cast(model(images, training=False), tf.float32))  # [b, k]
        classes = tf.broadcast_to(tf.constant(list(class_names)), tf.shape(scores))
        return {"scores": scores, "classes": classes}

    archive.add_endpoint(
        "serving_default", serve, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")]
    )
