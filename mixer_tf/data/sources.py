"""Where pictures come from, by one string.

With labels: `digits`, `tfds:NAME` or `folder:PATH`. With objects: `scenes`, `coco:`, `voc:`, `yolo:` or `tfds:NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mixer_tf.data.coco_format import open_coco
from mixer_tf.data.detection_splits import DetectionSource
from mixer_tf.data.digits import open_digits
from mixer_tf.data.folder import open_folder
from mixer_tf.data.scenes import open_scenes
from mixer_tf.data.splits import ImageSource
from mixer_tf.data.tfds import open_tfds
from mixer_tf.data.tfds_detection import open_tfds_detection
from mixer_tf.data.voc_format import open_voc
from mixer_tf.data.yolo_format import open_yolo


def open_images(
    data: str,
    *,
    data_dir: str | None = None,
    skip_broken: bool = False,
    train_split: str | None = None,
    eval_split: str | None = None,
    labelled: bool = True,
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
        labelled: Whether the labels are needed. Without, `folder:` also takes pictures of a single class, or
            straight in `PATH/<split>/`.

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
    _refuse_equal_splits(train_split, eval_split)
    if data == "digits":
        _refuse_arguments(data, ignored)
        return open_digits()
    if kind == "tfds" and rest:
        _refuse_arguments(data, {"skip_broken": skip_broken})
        return open_tfds(rest, data_dir, train_split, eval_split)
    if kind == "folder" and rest:
        _refuse_arguments(data, {"data_dir": data_dir})
        return open_folder(Path(rest).expanduser(), skip_broken, train_split, eval_split, labelled)
    raise ValueError(f"data must be digits, tfds:NAME or folder:PATH; given: {data!r}; choose one of these forms")


def open_detection(
    data: str,
    *,
    data_dir: str | None = None,
    skip_broken: bool = False,
    train_split: str | None = None,
    eval_split: str | None = None,
) -> DetectionSource:
    """Open a set of pictures with objects. Nothing is ever downloaded.

    Args:
        data: `scenes` (2,304 generated pictures of 96x96 pixels with handwritten digits, ten classes);
            `coco:FOLDER` with `annotations/instances_<split>.json` beside `<split>/`, the pictures;
            `coco:ANNOTATIONS.json:IMAGES`, one file and its folder of pictures, of which a fixed fifth is held out
            unless `eval_split` names another file;
            `voc:FOLDER` with JPEGImages, Annotations and ImageSets/Main;
            `yolo:FOLDER` with `images/<split>/`, `labels/<split>/` and data.yaml or classes.txt;
            `tfds:NAME` such as `tfds:coco/2017` and `tfds:voc/2007` (must have been prepared).
        data_dir: Where TFDS keeps its prepared sets, if not in its default place. For `tfds:` only.
        skip_broken: Leave missing and broken pictures out instead of refusing the set. For files only.
        train_split: Instead of the usual one. Not for `scenes` and `coco:ANNOTATIONS.json:IMAGES`.
        eval_split: Instead of the usual one; for `coco:ANNOTATIONS.json:IMAGES` another `ANNOTATIONS.json`, or
            `ANNOTATIONS.json:IMAGES` where its pictures lie elsewhere. Not for `scenes`.

    Returns:
        The opened source. Of files every picture is decoded once: a broken one shows before training.

    Raises:
        ValueError: If the set is unknown, not prepared, lacks pictures or splits, or is broken, if an argument does
            not apply, or if a package is missing.
    """
    kind, _, rest = data.partition(":")
    _refuse_equal_splits(train_split, eval_split)
    if data == "scenes":
        ignored = {"data_dir": data_dir, "skip_broken": skip_broken}
        _refuse_arguments(data, ignored | {"train_split": train_split, "eval_split": eval_split})
        return open_scenes()
    if kind == "tfds" and rest:
        _refuse_arguments(data, {"skip_broken": skip_broken})
        return open_tfds_detection(rest, data_dir, train_split, eval_split)
    if kind in ("coco", "voc", "yolo") and rest:
        _refuse_arguments(data, {"data_dir": data_dir})
        if kind == "coco":
            return open_coco(rest, skip_broken, train_split, eval_split)
        open_files = open_voc if kind == "voc" else open_yolo
        return open_files(Path(rest).expanduser(), skip_broken, train_split, eval_split)
    raise ValueError(
        f"data must be scenes, coco:FOLDER, coco:ANNOTATIONS.json:IMAGES, voc:FOLDER, yolo:FOLDER or tfds:NAME; "
        f"given: {data!r}; choose one of these forms"
    )


def _refuse_equal_splits(train_split: str | None, eval_split: str | None) -> None:
    if train_split is not None and train_split == eval_split:
        raise ValueError(f"eval_split must be another split than train_split; given: {eval_split} for both")


def _refuse_arguments(data: str, arguments: Mapping[str, object]) -> None:
    if given := [name for name, value in arguments.items() if value]:
        raise ValueError(f"data={data} takes no {' and no '.join(given)}; leave that out")
