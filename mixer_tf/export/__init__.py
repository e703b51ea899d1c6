"""From a trained model to the version folder that TensorFlow Serving loads."""

from pathlib import Path

import keras

from mixer_tf.data.preprocess import Preprocessing


def export(
    model: keras.Model,
    directory: str | Path,
    *,
    class_names: list[str] | tuple[str, ...],
    preprocessing: Preprocessing | None = None,
    activation: str = "softmax",
) -> Path:
    """Write an image classifier as the next version below `directory`, in the form that TensorFlow Serving takes.

    The signature `serving_default` takes `image_bytes`, encoded pictures (JPEG, PNG, GIF or BMP) of any size
    (string `[b]`), and gives `scores` (float32 `[b, k]`, in the order of the classes) and `classes` (string `[b, k]`).
    Decoding and the evaluation's preprocessing are inside.

    Args:
        model: a classifier that gives logits `[b, k]`.
        directory: the model's folder, such as `saved_models/flowers`; its name is the model's name on the server.
        class_names: names of the k classes, in the order of the logits.
        preprocessing: how a picture becomes the model's input; None for `model.preprocessing`.
        activation: what makes scores of logits: `softmax`, or `sigmoid` for a model trained with that loss.

    Returns:
        The folder of the new version, e.g. `saved_models/flowers/3`. An earlier version is never touched.

    Raises:
        ValueError: when the names are not as many different strings as the model has classes, no preprocessing is
            known, or it gives pictures of another size than the model's.

    Example:
        >>> export(model, "saved_models/digits", class_names=class_names, preprocessing=Preprocessing((16, 24)))
        PosixPath('saved_models/digits/1')
    """
    from mixer_tf.export.classification import add_classification
    from mixer_tf.export.publish import publish

    preprocessing = preprocessing or getattr(model, "preprocessing", None)
    if preprocessing is None:
        raise ValueError("export must know how pictures become the model's input; given: no preprocessing; pass one")
    if preprocessing.image_size != model.input.shape[1:3]:
        raise ValueError(
            f"preprocessing must give pictures of {model.input.shape[1:3]}; given: {preprocessing.image_size}"
        )
    if isinstance(class_names, str) or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"class_names must be a list of strings; given: {class_names!r}")
    if len(set(class_names)) != len(class_names):
        raise ValueError(f"class_names must differ from each other; given: {class_names!r}")
    if len(class_names) != model.output.shape[-1]:
        raise ValueError(
            f"class_names must name the model's {model.output.shape[-1]} classes; given: {len(class_names)} names"
        )
    if activation not in ("softmax", "sigmoid"):
        raise ValueError(f"activation must be softmax or sigmoid; given: {activation!r}")
    archive = keras.export.ExportArchive()
    add_classification(archive, model, preprocessing, class_names, activation)
    return publish(Path(directory), lambda folder: archive.write_out(str(folder), verbose=False))
