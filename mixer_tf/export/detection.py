"""The serving signature of an object detector."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from mixer_tf.data.images import decode_image
from mixer_tf.data.preprocess import Preprocessing


def add_detection(
    archive: keras.export.ExportArchive,
    model: keras.Model,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
) -> None:
    """Add `serving_default`: encoded pictures `[b]` -> `boxes`, `scores`, `classes` and `num_detections`.

    Like `predict`, but that boxes are in pixels of each picture as it was sent, and classes have their names.
    """
    picture = tf.TensorSpec((*preprocessing.image_size, 3), tf.float32)
    size = tf.TensorSpec((2,), tf.int32)
    names = tf.constant(["", *class_names])  # of class -1, behind the last object, first

    def prepare(encoded):
        image = decode_image(encoded)
        return preprocessing(image), tf.shape(image)[:2]

    def serve(image_bytes):
        images, sizes = tf.map_fn(prepare, image_bytes, fn_output_signature=(picture, size))
        found = model.detect(model(images, training=False))
        sides = tf.cast(tf.concat([sizes, sizes], axis=-1), tf.float32)[:, tf.newaxis]  # [b, 1, 4]
        boxes = tf.clip_by_value(preprocessing.boxes_to_picture(found["boxes"], sizes), 0.0, 1.0) * sides
        is_object = found["classes"] >= 0
        return {
            "boxes": tf.where(is_object[..., tf.newaxis], boxes, -1.0),
            "scores": found["scores"],
            "classes": tf.gather(names, found["classes"] + 1),
            "num_detections": found["num_detections"],
        }

    archive.add_endpoint(
        "serving_default", serve, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")]
    )
