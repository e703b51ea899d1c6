"""Small runs that must turn out the same on one replica, on two, in two processes and from micro-batches.

python -m tests.training.runs OUTPUT.npz      one worker of TF_CONFIG: all runs, their results in a file
"""

import dataclasses
import sys

import keras
import numpy as np
import tensorflow as tf

from mixer_tf.keras_fixes import Model
from mixer_tf.training.fit import share_of_batches
from mixer_tf.training.optimizers import create_optimizer
from mixer_tf.training.strategy import create_strategy

STEPS, BATCH_SIZE = 5, 12
EXAMPLES = 29  # so that the last batch of an evaluation has 5, all of them the first worker's
CHANNELS, CLASSES, TOKENS = 6, 3, 7


@dataclasses.dataclass(frozen=True)
class Run:
    """What is trained: a classifier without or with batch norm, or tokens of which an uneven number counts."""

    optimizer: str
    norm: bool = False
    masked: bool = False
    clip_norm: float = 0.05


RUNS = {
    f"{kind}-{optimizer}": Run(optimizer, **arguments)
    for optimizer in ("sgd", "adamw")
    for kind, arguments in {"classifier": {}, "batch_norm": {"norm": True}, "masked": {"masked": True}}.items()
}


def model(run: Run) -> Model:
    """Tokens to logits, or their mean to logits."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((TOKENS, CHANNELS))
    x = keras.layers.Dense(8, activation="gelu", name="fc1")(x)
    if run.norm:
        x = keras.layers.BatchNormalization(synchronized=True, name="norm")(x)
    x = x if run.masked else keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return Model(inputs, keras.layers.Dense(CLASSES, name="head")(x))


def compiled(run: Run) -> Model:
    """The model with optimizer, loss and metrics."""
    network = model(run)
    network.compile(
        create_optimizer(run.optimizer, learning_rate=0.1, weight_decay=0.05, clip_norm=run.clip_norm),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight" if run.masked else "sum_over_batch_size"
        ),
        metrics=[] if run.masked else ["accuracy"],
        weighted_metrics=["accuracy"] if run.masked else [],
    )
    return network


def dataset(run: Run, *, start_step: int | None = None, worker: int = 0, num_workers: int = 1) -> tf.data.Dataset:
    """Examples in order: over and over from a step on, or once for an evaluation; of each batch a worker's share."""
    random = np.random.default_rng(1)
    images = random.normal(size=(EXAMPLES, TOKENS, CHANNELS)).astype("float32")
    if run.masked:
        labels = random.integers(CLASSES, size=(EXAMPLES, TOKENS))
        weights = (random.random((EXAMPLES, TOKENS)) < np.linspace(0.1, 0.9, EXAMPLES)[:, None]).astype("float32")
        arrays = (images, labels, weights)
    else:
        arrays = (images, random.integers(CLASSES, size=EXAMPLES))
    share = BATCH_SIZE // num_workers
    indices = tf.data.Dataset.range(EXAMPLES)
    if start_step is not None:
        indices = tf.data.Dataset.range(start_step * BATCH_SIZE, 10**6)
    if num_workers > 1:
        indices = indices.filter(lambda index: index % BATCH_SIZE // share == worker)
    examples = indices.map(lambda index: tuple(tf.gather(array, index % EXAMPLES) for array in arrays))
    return examples.batch(share, drop_remainder=start_step is not None)


def result_of(strategy, run: Run, accumulate_steps: int = 1, **arguments) -> dict[str, np.ndarray]:
    """Train, evaluate and predict; every weight and every figure by its name."""
    with strategy.scope():
        network = compiled(run)
    network.accumulate_steps = accumulate_steps
    training = share_of_batches(strategy, lambda **part: dataset(run, **part), BATCH_SIZE, start_step=0)
    evaluation = share_of_batches(strategy, lambda **part: dataset(run, **part), BATCH_SIZE)
    history = network.fit(training, steps_per_epoch=STEPS, verbose=0, **arguments).history
    figures = network.evaluate(evaluation, verbose=0, return_dict=True)
    return {
        **{f"weight/{weight.path}": weight.numpy() for weight in network.weights},
        **{f"fit/{name}": np.array(values) for name, values in history.items()},
        **{f"evaluate/{name}": np.array(value) for name, value in figures.items()},
        "predictions": network.predict(evaluation, verbose=0),
    }


def largest_differences(result: dict, expected: dict) -> dict[str, float]:
    """By group (weight, fit, evaluate, predictions), in units of what the numbers are."""
    assert result.keys() == expected.keys()
    groups: dict[str, float] = {}
    for name, values in expected.items():
        assert result[name].shape == values.shape, name
        group = name.partition("/")[0]
        groups[group] = max(groups.get(group, 0.0), float(np.abs(result[name] - values).max()))
    return groups


def error_of_stock_keras(strategy) -> str:
    """What Keras's own model says of `fit` with several workers."""
    with strategy.scope():
        inputs = keras.Input((6,))
        network = keras.Model(inputs, keras.layers.Dense(3)(inputs))
        network.compile("sgd", "mse", metrics=["mae"])
    try:
        network.fit(np.ones((8, 6)), np.ones((8, 3)), batch_size=4, verbose=0)
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    workers = create_strategy("multi_worker")
    results = {"stock_error": np.array(error_of_stock_keras(workers))}
    for name, run in RUNS.items():
        results |= {f"{name}/{key}": value for key, value in result_of(workers, run).items()}
    np.savez(sys.argv[1], **results)
