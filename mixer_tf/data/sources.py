"""Where labelled pictures come from: `digits`, `tfds:NAME` or `folder:PATH`, all behind one `ImageSource`.

Every split is read by random access, because the order of training is a pure function of the step (see `pipeline`).
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.data.images import decode_image, find_broken

MAX_BYTES_IN_MEMORY = 2 * 2**30  # encoded pictures of a TFDS set up to this size are held in memory
EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")

_log = logging.getLogger(__name__)
_Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Args:
        name: As the source calls it, for example "validation" or "train[:80%]".
        size: Number of examples.
        labels: int32 [size], or None where they are not known before reading.
        read: Maps an int64 scalar index in [0, size) to `{"image": uint8 [h, w, 3], "label": int32 []}`; made of
            graph operations, to be called inside `tf.data.Dataset.map`.
    """

    name: str
    size: int
    labels: np.ndarray | None
    read: Callable[[tf.Tensor], _Example]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """Labelled pictures: a split to train on and one to evaluate on.

    Args:
        name: The string that `open_images` was given.
        class_names: The name of each label.
        train: The training split.
        evaluation: The split that is never trained on.
        skipped: How many broken pictures were left out.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    evaluation: Split
    skipped: int = 0


def open_images(
    data: str,
    *,
    data_dir: str | None = None,
    skip_broken: bool = False,
    train_split: str | None = None,
    eval_split: str | None = None,
) -> ImageSource:
    """Open a set of labelled pictures. Nothing is ever downloaded.

    Args:
        data: `digits` (1,797 handwritten digits of 8x8 pixels that come with scikit-learn), `tfds:NAME` (also
            `tfds:NAME:1.0.0` and `tfds:NAME/config`; must have been prepared) or `folder:PATH` with pictures at
            `PATH/<split>/<class>/*`.
        data_dir: Where TFDS keeps its prepared sets, if not in its default place. For `tfds:` only.
        skip_broken: Leave broken pictures out instead of refusing the set. For `folder:` only.
        train_split: Instead of `train`. TFDS slices such as `train[:80%]` are allowed. Not for `digits`.
        eval_split: Instead of the first of `validation`, `val` (folders only) and `test` that exists. Not for `digits`.

    Returns:
        The opened source.

    Raises:
        ValueError: If the set is unknown, not prepared, lacks pictures, labels or splits, or is broken, if an argument
            does not apply, or if a package is missing.

    Example:
        >>> source = open_images("digits")
        >>> source.train.size, source.evaluation.size
        (1437, 360)
    """
    kind, _, rest = data.partition(":")
    ignored = {"data_dir": data_dir, "skip_broken": skip_broken, "train_split": train_split, "eval_split": eval_split}
    if data == "digits":
        _refuse_arguments(data, ignored)
        return _open_digits()
    if kind == "tfds" and rest:
        _refuse_arguments(data, {"skip_broken": skip_broken})
        return _open_tfds(rest, data_dir, train_split, eval_split)
    if kind == "folder" and rest:
        _refuse_arguments(data, {"data_dir": data_dir})
        return _open_folder(Path(rest).expanduser(), skip_broken, train_split, eval_split)
    raise ValueError(f"data must be digits, tfds:NAME or folder:PATH; given: {data!r}; choose one of these forms")


def _refuse_arguments(data: str, arguments: Mapping[str, object]) -> None:
    if given := [name for name, value in arguments.items() if value]:
        raise ValueError(f"data={data} takes no {' and no '.join(given)}; leave that out")


def _open_digits() -> ImageSource:
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise _missing("data=digits", "scikit-learn") from error

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # the set's values are 0..16
    labels = digits.target.astype(np.int32)
    train, held_out = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)

    def split(name: str, rows: np.ndarray) -> Split:
        images = np.repeat(grey[rows, :, :, np.newaxis], 3, axis=-1)
        return _in_memory(name, images, labels[rows], decode=lambda image: image)

    names = tuple(str(name) for name in digits.target_names)
    return ImageSource("digits", names, split("train", train), split("test", held_out))


def _in_memory(name: str, records: np.ndarray, labels: np.ndarray, decode: Callable[[tf.Tensor], tf.Tensor]) -> Split:
    """Hold records [n, ...] and labels [n] in tensors that `read` captures: they are not copied into its graph."""
    with tf.device("CPU"):  # where tf.data runs
        held, held_labels = tf.constant(records), tf.constant(labels)

    def read(index: tf.Tensor) -> _Example:
        return {"image": decode(held[index]), "label": held_labels[index]}

    return Split(name, len(labels), labels, read)


def _open_tfds(name: str, data_dir: str | None, train_split: str | None, eval_split: str | None) -> ImageSource:
    builder = _tfds_builder(name, data_dir)
    splits = builder.info.splits
    if not splits:
        raise ValueError(
            f"the data set {name} must be prepared, but {builder.data_dir} holds none of it; "
            f"run: {_prepare_command(name, data_dir)}"
        )
    class_names = _tfds_class_names(builder, name)
    train_split = _choose_split("train_split", train_split, ("train",), list(splits))
    eval_split = _choose_split("eval_split", eval_split, ("validation", "test"), list(splits))
    wanted = sum(_tfds_size(builder, split) for split in (train_split, eval_split))
    num_bytes = builder.info.dataset_size * wanted / sum(split.num_examples for split in splits.values())

    if builder.info.file_format.value == "array_record":
        read_split = _tfds_random_access
    elif num_bytes <= MAX_BYTES_IN_MEMORY:
        read_split = _tfds_in_memory
    else:
        raise ValueError(
            f"a data set above {MAX_BYTES_IN_MEMORY:,} bytes must be prepared for random access, {name} has about "
            f"{num_bytes:,.0f} and file_format={builder.info.file_format.value}; take slices by train_split and "
            f"eval_split, or prepare it in an empty folder and set data_dir to that, by: "
            f"{_prepare_command(name, 'FOLDER', file_format='array_record')}"
        )
    return ImageSource(
        f"tfds:{name}", class_names, train=read_split(builder, train_split), evaluation=read_split(builder, eval_split)
    )


def _tfds_builder(name: str, data_dir: str | None):
    try:
        import tensorflow_datasets as tfds

        return tfds.builder(name, data_dir=data_dir)
    except ImportError as error:  # of the package itself, or of what it imports only now
        raise _missing(f"data=tfds:{name}", error.name or "tensorflow-datasets") from error
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(re.split("[/:]", name)[0], tfds.list_builders())
        hint = f"the nearest names are {', '.join(near)}" if near else "see the catalogue of TensorFlow Datasets"
        raise ValueError(f"tfds:NAME must name a data set of TensorFlow Datasets; given: {name!r}; {hint}") from error
    except (AssertionError, KeyError, RuntimeError, ValueError) as error:  # no such config or version, malformed name
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"tfds:NAME must be NAME[/CONFIG][:VERSION] of a data set; given: {name!r}; {reason}"
        ) from error


def _prepare_command(name: str, data_dir: str | None, file_format: str | None = None) -> str:
    # Not `tfds build`: with tensorflow-datasets 4.9.10 that program stops with ModuleNotFoundError without apache-beam.
    options = {"data_dir": data_dir, "file_format": file_format}
    arguments = "".join(f", {key}={value!r}" for key, value in options.items() if value)
    return f'python -c "import tensorflow_datasets as t; t.builder({name!r}{arguments}).download_and_prepare()"'


def _tfds_class_names(builder, name: str) -> tuple[str, ...]:
    import tensorflow_datasets as tfds

    features = dict(builder.info.features.items())
    image, label = features.get("image"), features.get("label")
    is_image = isinstance(image, tfds.features.Image) and image.dtype == np.uint8
    if not is_image or not isinstance(label, tfds.features.ClassLabel):
        raise ValueError(
            f"a data set for classification must have the features image (uint8) and label (one class), "
            f"{name} has {', '.join(features)}; choose another data set"
        )
    return tuple(label.names)


def _tfds_size(builder, split: str) -> int:
    try:
        size = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        known = ", ".join(builder.info.splits)
        raise ValueError(f"a split must be one of {known} or a slice such as train[:80%]; given: {split!r}") from error
    if not size:
        raise ValueError(f"a split must hold examples, {split!r} holds none; choose another slice")
    return size


def _tfds_in_memory(builder, split: str) -> Split:
    records = builder.as_dataset(split=split, decoders=_encoded(), shuffle_files=False)
    batches = records.map(lambda record: (record["image"], record["label"])).batch(4096).as_numpy_iterator()
    images, labels = zip(*batches, strict=True)
    return _in_memory(split, np.concatenate(images), np.concatenate(labels).astype(np.int32), decode_image)


def _tfds_random_access(builder, split: str) -> Split:
    records = builder.as_data_source(split, decoders=_encoded())

    def read_record(index: np.ndarray) -> tuple[bytes, np.int32]:
        record = records[int(index)]
        return record["image"], np.int32(record["label"])

    def read(index: tf.Tensor) -> _Example:
        # Stateless: under op determinism tf.data would otherwise run the whole map one example at a time.
        encoded, label = tf.numpy_function(read_record, [index], [tf.string, tf.int32], stateful=False)
        return {"image": decode_image(tf.ensure_shape(encoded, [])), "label": tf.ensure_shape(label, [])}

    return Split(split, len(records), None, read)


def _encoded():
    """The decoders that give the file's bytes in place of the picture."""
    import tensorflow_datasets as tfds

    return {"image": tfds.decode.SkipDecoding()}


def _open_folder(root: Path, skip_broken: bool, train_split: str | None, eval_split: str | None) -> ImageSource:
    if not root.is_dir():
        raise ValueError(f"folder:PATH must name an existing folder; given: {root}; check the path")
    splits = _subfolders(root)
    if "train" not in splits and any(_pictures(root / name) for name in splits):
        raise ValueError(
            f"pictures must lie in {root}/<split>/<class>/, but {root}/{splits[0]} and its neighbours hold pictures "
            f"themselves; move the class folders into {root}/train and {root}/validation"
        )
    names = (
        _choose_split("train_split", train_split, ("train",), splits),
        _choose_split("eval_split", eval_split, ("validation", "val", "test"), splits),
    )
    class_names = _class_names(root, names)
    files = {name: _class_files(root / name, class_names) for name in names}
    broken = _check([path for split in files.values() for paths in split for path in paths], skip_broken)

    def split(name: str) -> Split:
        usable = [[path for path in paths if path not in broken] for paths in files[name]]
        for class_name, paths in zip(class_names, usable, strict=True):
            _require_pictures(root / name / class_name, paths)
        labels = np.repeat(np.arange(len(usable), dtype=np.int32), [len(paths) for paths in usable])
        return _in_memory(name, np.concatenate(usable, dtype=object), labels, decode=_read_picture)

    return ImageSource(f"folder:{root}", class_names, split(names[0]), split(names[1]), skipped=len(broken))


def _choose_split(key: str, given: str | None, usual: tuple[str, ...], splits: list[str]) -> str:
    for name in usual:
        if not given and name in splits:
            return name
    if not given:
        raise ValueError(
            f"the data set must have a split named {' or '.join(usual)}, it has {', '.join(splits) or 'none'}; "
            f"name one by {key}=..."
        )
    return given


def _class_names(root: Path, splits: tuple[str, str]) -> tuple[str, ...]:
    for name in splits:
        if not (root / name).is_dir():
            raise ValueError(
                f"a split must be a folder of {root}; given: {name!r}; there are {_listed(_subfolders(root))}"
            )
    first, second = (_subfolders(root / name) for name in splits)
    if first != second:
        raise ValueError(
            f"both splits must have the same class folders; only in {splits[0]}: {_listed(set(first) - set(second))}; "
            f"only in {splits[1]}: {_listed(set(second) - set(first))}"
        )
    if len(first) < 2:
        raise ValueError(f"there must be at least two class folders in {root / splits[0]}; given: {_listed(first)}")
    return tuple(first)


def _class_files(folder: Path, class_names: tuple[str, ...]) -> list[list[str]]:
    files = [_pictures(folder / class_name) for class_name in class_names]
    for class_name, paths in zip(class_names, files, strict=True):
        _require_pictures(folder / class_name, paths)
    return files


def _require_pictures(folder: Path, paths: list[str]) -> None:
    if not paths:
        raise ValueError(
            f"every class folder must hold readable pictures ({', '.join(EXTENSIONS)}), {folder} holds none; "
            "add some or remove the class from every split"
        )


def _read_picture(path: tf.Tensor) -> tf.Tensor:
    return decode_image(tf.io.read_file(path))


def _check(paths: list[str], skip_broken: bool) -> set[str]:
    """Decode every picture once; return the broken ones, which are an error unless they are to be skipped."""
    start = time.perf_counter()
    broken = find_broken(paths)
    seconds = time.perf_counter() - start
    _log.info("checked %d pictures in %.1f s, %d are broken", len(paths), seconds, len(broken))
    if broken and not skip_broken:
        path, reason = broken[0]
        raise ValueError(
            f"every picture must be readable, {len(broken)} of {len(paths)} are not, the first is {path} ({reason}); "
            "repair or remove them, or set skip_broken=true"
        )
    for path, reason in broken:
        _log.warning("skipped the broken picture %s (%s)", path, reason)
    return {path for path, _ in broken}


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [str(path) for path in files if path.suffix.lower() in EXTENSIONS]
    if len(pictures) < len(files):
        _log.warning("%s: left out %d files that are not %s", folder, len(files) - len(pictures), ", ".join(EXTENSIONS))
    return pictures


def _listed(names) -> str:
    names = sorted(names)
    shown = ", ".join(names[:10]) or "none"
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


def _missing(what: str, package: str) -> ValueError:
    return ValueError(f'{what} needs {package}, which cannot be imported; run: pip install "mixer-tf[data]"')
