"""Annotations in the format of YOLO: one text file for each picture, `class center_x center_y width height` a line.

The numbers are fractions of the picture. The pictures lie in `images/<split>/`, the texts in `labels/<split>/` under
the same names; also `<split>/images/` and `<split>/labels/`, or no splits at all, then a fifth is held out. A picture
without a text has no objects. The names of the classes stand in `data.yaml` (`names`) or in `classes.txt`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mixer_tf.data.detection_files import Annotated, hold_out, one_line, open_files
from mixer_tf.data.detection_splits import DetectionSource
from mixer_tf.data.folder import EXTENSIONS
from mixer_tf.data.splits import choose_split, missing_package

_log = logging.getLogger(__name__)


def open_yolo(root: Path, skip_broken: bool, train_split: str | None, eval_split: str | None) -> DetectionSource:
    """Open `yolo:FOLDER`; see `open_detection`."""
    class_names = _class_names(root)
    splits = _splits(root)
    if not splits:
        raise ValueError(
            f"yolo:FOLDER must hold images/<split>/ and labels/<split>/, or <split>/images/ and <split>/labels/; "
            f"given: {root}; check the path"
        )
    if list(splits) == [""]:
        if train_split or eval_split:
            raise ValueError(f"{root} has no splits to choose from; leave train_split and eval_split out")
        names = ("train", "held out")
        parts = hold_out(_pictures(*splits[""], 0, len(class_names)))
    else:
        names = (
            choose_split("train_split", train_split, ("train", "train2017"), list(splits)),
            choose_split("eval_split", eval_split, ("val", "valid", "validation", "val2017", "test"), list(splits)),
        )
        for name in names:
            if name not in splits:
                raise ValueError(f"a split must be one of {', '.join(splits)}; given: {name!r}; choose one of these")
        first = _pictures(*splits[names[0]], 0, len(class_names))
        parts = first, _pictures(*splits[names[1]], len(first), len(class_names))
    return open_files(f"yolo:{root}", class_names, names, parts, skip_broken)


def _splits(root: Path) -> dict[str, tuple[Path, Path]]:
    """Name -> folders of pictures and of texts; the name is empty where there are no splits."""
    images = root / "images"
    if images.is_dir():
        folders = sorted(path for path in images.iterdir() if path.is_dir())
        return {path.name: (path, root / "labels" / path.name) for path in folders} or {"": (images, root / "labels")}
    folders = sorted(path.parent for path in root.glob("*/images") if path.is_dir())
    return {path.name: (path / "images", path / "labels") for path in folders}


def _class_names(root: Path) -> tuple[str, ...]:
    yaml_file, text_file = root / "data.yaml", root / "classes.txt"
    if yaml_file.is_file():
        names = _yaml_names(yaml_file)
    elif text_file.is_file():
        names = [line.strip() for line in text_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        raise ValueError(f"yolo:FOLDER must hold data.yaml or classes.txt with the classes; given: {root}; add one")
    if not names:
        raise ValueError(f"there must be classes in data.yaml or classes.txt, {root} lists none; add their names")
    return tuple(names)


def _yaml_names(path: Path) -> list[str]:
    """`names`, which is a list or a mapping from 0, 1, 2 and so on."""
    try:
        import yaml
    except ImportError as error:
        raise missing_package(f"{path.name} of data=yolo:", "PyYAML") from error
    try:
        names = yaml.safe_load(path.read_text(encoding="utf-8"))["names"]
        ordered = [names[i] for i in range(len(names))]  # a mapping must have all indices
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} must have names, a list or a mapping from 0 on; it has not: {type(error).__name__} "
            f"{one_line(error)}"
        ) from error
    return [str(name) for name in ordered]


def _pictures(images: Path, labels: Path, first_number: int, num_classes: int) -> list[Annotated]:
    if not labels.is_dir():
        raise ValueError(f"the folder {images} must have its texts in {labels}, which is no folder; check the layout")
    files = sorted(path for path in images.iterdir() if path.suffix.lower() in EXTENSIONS)
    texts = {path.stem: path for path in labels.glob("*.txt")}
    if alone := sorted(set(texts) - {path.stem for path in files} - {"classes"}):
        _log.warning("%d texts have no picture, the first are %s", len(alone), ", ".join(alone[:5]))
    pictures = []
    for i, path in enumerate(files):
        rows = _rows(texts[path.stem]) if path.stem in texts else np.zeros([0, 5])
        classes, x, y, width, height = rows.T
        known = (classes >= 0) & (classes < num_classes)
        boxes = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=1)
        pictures.append(
            Annotated(path, first_number + i, boxes, np.where(known, classes, -1).astype(np.int32), relative=True)
        )
    return pictures


def _rows(path: Path) -> np.ndarray:
    """The lines of one file: float64 [n, 5]."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = [float(value) for value in line.split()]
        except ValueError:
            values = [0.0]
        if not values:
            continue
        if len(values) != 5 or not values[0].is_integer():
            raise ValueError(
                f"a line must be: class center_x center_y width height; {path}, line {number}: {line[:60]!r}; "
                "polygons and tracks are not read"
            )
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, 5)
