"""A detector that training makes worse: its boxes move away from the objects. As a program: in two processes.

python -m tests.training.drifting OUT.json
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from mixer_tf.keras_fixes import Model
from mixer_tf.training.detection_metrics import CocoMetrics
from mixer_tf.training.fit import share_of_batches
from mixer_tf.training.strategy import create_strategy

PICTURES, BATCH_SIZE = 5, 2
BOX = np.array([0.2, 0.1, 0.6, 0.5], np.float32)


@keras.saving.register_keras_serializable(package="tests")
class Drifting(Model):
    """Finds one box in each picture; `call` gives [b, 1], how far it is to the right of the object."""

    def predict_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        drift = self(images, training=False)  # [b, 1]
        count = tf.shape(drift)[0]
        return {
            "boxes": BOX + drift[:, :, None] * [0.0, 1.0, 0.0, 1.0],
            "scores": tf.fill([count, 1], 0.75),
            "classes": tf.zeros([count, 1], tf.int32),
            "num_detections": tf.ones([count], tf.int32),
        }


def compiled() -> Drifting:
    """Two updates, an epoch, move the box by a tenth of its width: the overlap is 0.82, then 0.67, 0.54, 0.43."""
    inputs = keras.Input((4, 6, 3))
    x = keras.layers.BatchNormalization(trainable=False)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = Drifting(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(x))
    model.compile(keras.optimizers.SGD(0.02), "mae")
    return model


def pictures(start_step: int | None = None, worker: int = 0, num_workers: int = 1) -> tf.data.Dataset:
    """Black ones, so that no weight but the bias of the last layer matters; endless for training."""
    images = tf.data.Dataset.from_tensors((tf.zeros([4, 6, 3]), tf.ones([1])))
    if start_step is None:
        return images.repeat(PICTURES).batch(BATCH_SIZE)
    return images.repeat().batch(BATCH_SIZE // num_workers, drop_remainder=True)


def truths() -> list[dict]:
    """An object in each picture; the pictures are larger than what the model sees."""
    part = {"height": 80, "width": 120, "boxes": BOX[None], "classes": np.zeros(1, np.int32)}
    part |= {"areas": np.array([32.0 * 48], np.float32), "crowd": np.array([False]), "difficult": np.array([False])}
    return [{"image_id": 11 + index, **part} for index in range(PICTURES)]


def metrics(**arguments) -> CocoMetrics:
    """The callback under test."""
    return CocoMetrics(pictures, truths(), ["thing"], **arguments)


def history_until_it_gets_worse(strategy) -> dict[str, list[float]]:
    """The figures of a run that stops by `val_AP`, though it might go on for nine epochs."""
    with strategy.scope():
        model = compiled()
    training = share_of_batches(strategy, pictures, BATCH_SIZE, start_step=0)
    stop = keras.callbacks.EarlyStopping(monitor="val_AP", mode="max", patience=2)
    return model.fit(
        training, steps_per_epoch=2, epochs=9, callbacks=[metrics(), stop], shuffle=False, verbose=0
    ).history


if __name__ == "__main__":
    result = history_until_it_gets_worse(create_strategy("multi_worker"))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(result, file)
