"""From a trained model to the version folder that TensorFlow Serving loads."""

from pathlib import Path

import keras

from mixer_tf.checks import require
from mixer_tf.data.preprocess import Preprocessing


def export(
    model: keras.Model,
    directory: str | Path,
    *,
    class_names: list[str] | tuple[str, ...] | None = None,
    preprocessing: Preprocessing | None = None,
    activation: str = "softmax",
    tokenizer=None,
    top: int = 5,
    serve_text: bool = True,
) -> Path:
    """Write a model as the next version below `directory`, in the form that TensorFlow Serving takes.

    An image classifier has the signature `serving_default`: it takes `image_bytes`, encoded pictures (JPEG, PNG, GIF
    or BMP) of any size (string `[b]`), and gives `scores` (float32 `[b, k]`, in the order of the classes) and `classes`
    (string `[b, k]`). Decoding and the evaluation's preprocessing are inside.

    A detector takes the same `image_bytes` and gives `boxes` (float32 `[b, d, 4]`: y1, x1, y2, x2 in pixels of each
    picture as it was sent), `scores` (float32 `[b, d]`, falling), `classes` (string `[b, d]`) and `num_detections`
    (int32 `[b]`); behind the last object boxes and scores are -1 and classes `""`. Its thresholds are those that the
    model has now.

    A language model has `serve_text`, which is also its `serving_default`: it takes `text` (string `[b]`) and gives
    `pieces` (string) and `probabilities` (float32), both `[b, m, top]`, for each of the m places of [MASK], or of a
    causal model for the one place that comes next; where a text of the batch has fewer, `""` and 0. Special tokens are
    not among them. Of a text that is too long for the model the end is cut off, with any [MASK] in it; of a causal
    model the beginning, as the text is to go on. `serve_tokens` takes the model's inputs (int32
    `[b, t]`), texts between [CLS] and [EOS], and gives `token_ids` and `probabilities`. A model of pairs has
    `serve_pairs`, with `next_text` and the probability `is_next` (float32 `[b]`) besides.

    Args:
        model: a classifier that gives logits `[b, k]`, a detector, or a masked or causal language model.
        directory: the model's folder, such as `saved_models/flowers`; its name is the model's name on the server.
        class_names: of a classifier or detector, names of the k classes, in the order of the logits.
        preprocessing: how a picture becomes the model's input; None for `model.preprocessing`.
        activation: of a classifier, what makes scores of logits: `softmax`, or `sigmoid` for a model trained with that
            loss.
        tokenizer: of a language model, that of its training (`mixer_tf.data.tokenizers`).
        top: number of pieces for each place, at most those of the vocabulary that are not special.
        serve_text: of a language model, whether to add the signatures that take text. TensorFlow Serving has their
            operations, those of tensorflow-text; a process without them cannot load such a folder at all, not even for
            `serve_tokens`. False leaves them out, and `serve_tokens` is the `serving_default`.

    Returns:
        The folder of the new version, e.g. `saved_models/flowers/3`. An earlier version is never touched.

    Raises:
        ValueError: when the names are not as many different strings as the model has classes, no preprocessing is
            known, or it gives pictures of another size than the model's; when a language model comes without its
            tokenizer, or with another.

    Example:
        >>> export(model, "saved_models/digits", class_names=class_names, preprocessing=Preprocessing((16, 24)))
        PosixPath('saved_models/digits/1')
    """
    archive = keras.export.ExportArchive()
    if isinstance(model.input, dict) and "token_ids" in model.input:
        _check_language(model, tokenizer, top)
        from mixer_tf.export.language import add_language

        add_language(archive, model, tokenizer, top, serve_text)
    else:
        preprocessing = preprocessing or getattr(model, "preprocessing", None)
        if preprocessing is None:
            raise ValueError(
                "export must know how pictures become the model's input; given: no preprocessing; pass one"
            )
        if class_names is None:
            raise ValueError("export of a classifier or detector needs its class_names; given: none")
        _check_pictures(model, preprocessing, class_names)
        if hasattr(model, "detect"):
            from mixer_tf.export.detection import add_detection

            add_detection(archive, model, preprocessing, class_names)
        else:
            require(
                activation in ("softmax", "sigmoid"), f"activation must be softmax or sigmoid; given: {activation!r}"
            )
            from mixer_tf.export.classification import add_classification

            add_classification(archive, model, preprocessing, class_names, activation)
    from mixer_tf.export.publish import publish

    return publish(Path(directory), lambda folder: archive.write_out(str(folder), verbose=False))


def _check_language(model, tokenizer, top) -> None:
    require(tokenizer is not None, "export of a language model needs its tokenizer; given: none; pass tokenizer")
    outputs = model.output["mlm_logits"] if isinstance(model.output, dict) else model.output
    require(
        tokenizer.vocab_size == outputs.shape[-1],
        f"tokenizer must have the model's {outputs.shape[-1]} pieces; given: {tokenizer.vocab_size}",
    )
    most = int((~tokenizer.is_special).sum())
    require(1 <= top <= most, f"top must lie in 1..{most}, the pieces that are not special; given: {top}")


def _check_pictures(model, preprocessing, class_names) -> None:
    num_classes = getattr(model, "num_classes", model.output.shape[-1])
    require(
        preprocessing.image_size == model.input.shape[1:3],
        f"preprocessing must give pictures of {model.input.shape[1:3]}; given: {preprocessing.image_size}",
    )
    require(
        isinstance(class_names, list | tuple) and all(isinstance(name, str) for name in class_names),
        f"class_names must be a list of strings; given: {class_names!r}",
    )
    require(
        len(set(class_names)) == len(class_names), f"class_names must differ from each other; given: {class_names!r}"
    )
    require(
        len(class_names) == num_classes,
        f"class_names must name the model's {num_classes} classes; given: {len(class_names)} names",
    )
