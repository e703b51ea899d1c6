"""What pretraining has learned: what simple classifiers make of a backbone's features, and how easy the task was."""

from __future__ import annotations

import numpy as np

from mixer_tf.data.masking import NOT_SCORED
from mixer_tf.data.splits import missing_package


def probe_labels(
    model, source, *, preprocessing, batch_size: int, seed: int = 0, neighbours: int = 20, most: int = 10_000
) -> dict[str, float]:
    """Tell the labels of a source's evaluation split from a model's features, by both probes.

    Args:
        model: as `features_of` takes it.
        source: an `mixer_tf.data.splits.ImageSource`.
        preprocessing: of the model.
        batch_size: number of pictures that the model sees at once.
        seed: of which training pictures are used.
        neighbours: of the second probe; of a split that is smaller all.
        most: number of training pictures that are used at most.

    Returns:
        `linear_probe_accuracy` and `nearest_neighbour_accuracy`.

    Raises:
        ValueError: if scikit-learn is not installed.
    """
    from mixer_tf.data.augment import Augmentation
    from mixer_tf.data.pipeline import eval_dataset, train_dataset

    number = min(most, source.train.size)
    reading = {"preprocessing": preprocessing, "num_classes": len(source.class_names)}
    reading["batch_size"] = min(batch_size, number)
    training = train_dataset(source.train, **reading, augmentation=Augmentation(), seed=seed)
    known = features_of(model, training.take(number // reading["batch_size"]))
    asked = features_of(model, eval_dataset(source.evaluation, **reading))
    return {
        "linear_probe_accuracy": linear_probe(*known, *asked),
        "nearest_neighbour_accuracy": nearest_neighbour_probe(
            *known, *asked, neighbours=min(neighbours, len(known[1]))
        ),
    }


def features_of(model, dataset) -> tuple[np.ndarray, np.ndarray]:
    """Average a backbone's grid over its places, for every picture.

    Args:
        model: a backbone, a classifier, or a masked image model, of which no unit is masked.
        dataset: batches of (images `[b, H, W, 3]`, one-hot labels `[b, k]`), such as
            `mixer_tf.data.pipeline.eval_dataset`.

    Returns:
        The features `float32 [n, c]` and the labels `int64 [n]`.

    Raises:
        ValueError: if the model has no grid of features.

    Example:
        >>> features, labels = features_of(model, validation)
        >>> features.shape, labels.shape
        ((32, 12), (32,))
    """
    import keras
    import tensorflow as tf

    grids = keras.Model(model.inputs, _grid(model))
    unit_shapes = [tensor.shape[1:] for tensor in model.inputs if tensor.name == "masked_units"]

    @tf.function(reduce_retracing=True)
    def pooled(images):
        nothing = [tf.zeros([tf.shape(images)[0], *shape], tf.int32) for shape in unit_shapes]
        return tf.reduce_mean(tf.cast(grids([images, *nothing], training=False), tf.float32), axis=[1, 2])

    batches = [(pooled(images).numpy(), np.argmax(labels, axis=1)) for images, labels in dataset]
    features, labels = zip(*batches, strict=True)
    return np.concatenate(features), np.concatenate(labels)


def linear_probe(train_features, train_labels, test_features, test_labels) -> float:
    """Train a logistic regression on features, and return its share of right answers on others.

    Features are shifted and scaled to mean 0 and variance 1 over the training examples; the regression has
    scikit-learn's default regularisation (C = 1).

    Args:
        train_features: `float [n, c]`, all finite.
        train_labels: `int [n]`, at least two different ones.
        test_features: `float [m, c]`.
        test_labels: `int [m]`.

    Returns:
        The accuracy in [0, 1].

    Raises:
        ValueError: if the shapes do not fit, or scikit-learn is not installed.

    Example:
        >>> linear_probe([[0.0, 1.0], [0.1, 0.0], [1.0, 0.0], [0.9, 1.0]], [0, 0, 1, 1], [[0.2, 0.5]], [0])
        1.0
    """
    _check(train_features, train_labels, test_features, test_labels)
    require_scikit_learn()
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe.fit(np.asarray(train_features, np.float64), train_labels)
    return float(probe.score(np.asarray(test_features, np.float64), test_labels))


def require_scikit_learn() -> None:
    """Raise a `ValueError` where scikit-learn is missing: before a training is better than after it."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise missing_package("a probe of features", "scikit-learn") from None


def nearest_neighbour_probe(train_features, train_labels, test_features, test_labels, *, neighbours: int = 20) -> float:
    """Let each example have the label of most of its nearest neighbours, and return the share of right answers.

    Args:
        train_features: `float [n, c]`, all finite; those of the largest cosine are the neighbours.
        train_labels: `int [n]`, not negative.
        test_features: `float [m, c]`.
        test_labels: `int [m]`.
        neighbours: how many have a vote, 1 to n; of labels with as many votes the smallest wins.

    Returns:
        The accuracy in [0, 1].

    Raises:
        ValueError: if the shapes do not fit or there are too few examples.

    Example:
        >>> nearest_neighbour_probe([[0.0, 1.0], [1.0, 0.0]], [0, 1], [[0.2, 0.5]], [0], neighbours=1)
        1.0
    """
    _check(train_features, train_labels, test_features, test_labels)
    if not 1 <= neighbours <= len(train_labels):
        raise ValueError(f"neighbours must lie in 1..{len(train_labels)}, the training examples; given: {neighbours}")
    train, test, labels = _directions(train_features), _directions(test_features), np.asarray(train_labels)
    right = 0
    for start in range(0, len(test), 1024):  # not all cosines at once
        cosines = test[start : start + 1024] @ train.T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
        votes = [np.bincount(voters).argmax() for voters in labels[nearest]]
        right += np.sum(votes == np.asarray(test_labels)[start : start + 1024])
    return float(right / len(test))


def copied_color_accuracy(labels: np.ndarray, kinds: np.ndarray) -> float:
    """How often the nearest patch that was not selected has the colour of the one to predict.

    Mean colours are smooth: a masked image model has learned little as long as it is no better than this copy.

    Args:
        labels: `int [n, h, w]`, classes of colour, as in the batches of `mixer_tf.data.masked_images`.
        kinds: `int [n, h, w]`, of each patch; those above 0 are to be predicted.

    Returns:
        The share of right copies in [0, 1], over all patches to predict. Of patches that are equally near the first
        in reading order is taken; where all of a picture are selected there is none, and the copies are wrong.

    Raises:
        ValueError: if the shapes differ or no patch is to be predicted.

    Example:
        >>> copied_color_accuracy(np.array([[[5, 5, 9, 8]]]), np.array([[[0, 1, 1, 0]]]))
        0.5
    """
    labels, kinds = np.asarray(labels), np.asarray(kinds)
    if labels.ndim != 3 or labels.shape != kinds.shape or not np.any(kinds != NOT_SCORED):
        raise ValueError(
            "labels and kinds must be [n, h, w] alike, with a patch to predict; given: "
            f"{labels.shape} and {kinds.shape}, {np.sum(kinds != NOT_SCORED)} of them to predict"
        )
    places = np.indices(labels.shape[1:]).reshape(2, -1).T  # [h * w, 2]
    distances = ((places[:, None] - places[None]) ** 2).sum(axis=-1)  # [h * w, h * w]
    right = 0
    for colors, selected in zip(
        labels.reshape(len(labels), -1), kinds.reshape(len(kinds), -1) != NOT_SCORED, strict=True
    ):
        if not selected.all():
            sources = np.flatnonzero(~selected)
            copies = colors[sources[distances[selected][:, sources].argmin(axis=1)]]
            right += np.sum(copies == colors[selected])
    return float(right / np.sum(kinds != NOT_SCORED))


def _grid(model):
    """The backbone's output [b, h, w, c] within a model, wherever the head takes it from."""
    layers = {layer.name: layer for layer in model.layers}
    if "head_input" in layers:  # of a masked image model
        return layers["head_input"].output
    if not any(name.startswith("head") for name in layers) and len(model.output.shape) == 4:
        return model.output
    if "head_pool" in layers:
        return layers["head_pool"].input
    if "class_token" in layers:  # alone in the graph behind the last norm
        return layers["norm"].output[:, 1:, None]  # [b, s, 1, c]
    levels = [name for name in layers if name[0] == "P" and name[1:].isdigit()]
    if not levels:
        raise ValueError(f"a probe needs a model with a backbone that reads pictures; given: {model.name}")
    return layers[levels[-1]].output


def _directions(features) -> np.ndarray:
    features = np.asarray(features, np.float64)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _check(train_features, train_labels, test_features, test_labels):
    shapes = [np.shape(array) for array in (train_features, train_labels, test_features, test_labels)]
    train, train_count, test, test_count = shapes
    fit = len(train) == len(test) == 2 and train[1] == test[1] and train_count == train[:1] and test_count == test[:1]
    if not fit or 0 in (*train, *test):
        raise ValueError(
            "features [n, c] with labels [n], and [m, c] with [m], must fit together, with n and m at least 1; "
            f"given: {', '.join(map(str, shapes))}"
        )
