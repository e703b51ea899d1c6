"""Annotations in the format of COCO: one JSON file of images, annotations and categories for each split.

Reference: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mixer_tf.data.detection_files import Annotated, hold_out, one_line, open_files
from mixer_tf.data.detection_splits import DetectionSource
from mixer_tf.data.splits import choose_split

_PREFIX = "instances_"


def open_coco(rest: str, skip_broken: bool, train_split: str | None, eval_split: str | None) -> DetectionSource:
    """Open `coco:FOLDER` or `coco:ANNOTATIONS.json:IMAGES`; see `open_detection`."""
    if ".json:" in rest:
        if train_split:
            raise ValueError(f"data=coco:{rest} names its training split itself; leave train_split out")
        train = _files(rest)
        evaluation = _files(eval_split, images=train[1]) if eval_split else None
        names = (str(train[0]), str(evaluation[0]) if evaluation else "held out")
    else:
        root = Path(rest).expanduser()
        names = _folder_splits(root, train_split, eval_split)
        train, evaluation = ((root / "annotations" / f"{_PREFIX}{name}.json", root / name) for name in names)

    dropped: Counter[str] = Counter()
    categories, pictures = _read(*train, dropped)
    if evaluation is None:
        pictures, others = hold_out(pictures)
    else:
        other_categories, others = _read(*evaluation, dropped)
        if other_categories != categories:
            raise ValueError(
                f"both annotation files must have the same categories, {train[0]} has {len(categories)} and "
                f"{evaluation[0]} has {len(other_categories)} or others; give files of the same data set"
            )
    return open_files(
        f"coco:{rest}",
        list(categories.values()),
        names,
        (pictures, others),
        skip_broken,
        category_ids=list(categories),
        dropped=dropped,
    )


def _files(text: str, images: Path | None = None) -> tuple[Path, Path]:
    """The annotations and the folder of pictures of ANNOTATIONS.json:IMAGES; of ANNOTATIONS.json alone, `images`."""
    if ".json:" not in text and images is not None:
        return Path(text).expanduser(), images
    annotations, _, folder = text.rpartition(".json:")
    return Path(f"{annotations}.json").expanduser(), Path(folder).expanduser()


def _folder_splits(root: Path, train_split: str | None, eval_split: str | None) -> tuple[str, str]:
    if not (root / "annotations").is_dir():
        raise ValueError(
            f"coco:FOLDER must hold a folder annotations with {_PREFIX}<split>.json beside the folders of pictures; "
            f"given: {root}; check the path, or write coco:ANNOTATIONS.json:IMAGES"
        )
    splits = sorted(path.stem[len(_PREFIX) :] for path in (root / "annotations").glob(f"{_PREFIX}*.json"))
    return (
        choose_split("train_split", train_split, ("train2017", "train2014", "train"), splits),
        choose_split("eval_split", eval_split, ("val2017", "val2014", "val", "validation", "test"), splits),
    )


def _read(annotations: Path, images: Path, dropped: Counter) -> tuple[dict[int, str], list[Annotated]]:
    """The categories, id -> name in the order of the ids, and the pictures, which lie in the folder `images`."""
    try:
        content = json.loads(annotations.read_bytes())
        categories = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        records = {int(record["id"]): record for record in content["images"]}
        objects: dict[int, list[dict[str, Any]]] = {image_id: [] for image_id in records}
        if len(records) < len(content["images"]):
            raise ValueError("several images have the same id")
        for annotation in content["annotations"]:
            if (image_id := int(annotation["image_id"])) in objects:
                objects[image_id].append(annotation)
            else:
                dropped["unknown_image"] += 1
        categories = dict(sorted(categories.items()))
        index = {category_id: i for i, category_id in enumerate(categories)}
        pictures = [_picture(images, record, objects[image_id], index) for image_id, record in records.items()]
    except OSError as error:
        raise ValueError(
            f"the annotations must be a file that can be read; given: {annotations} ({error.strerror}); check the path"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{annotations} must be a JSON file of COCO's format with images, annotations (image_id, category_id, "
            f"bbox) and categories; it is not: {type(error).__name__} {one_line(error)}"
        ) from error
    if not categories or not pictures:
        raise ValueError(
            f"{annotations} must list categories and images; given: {len(categories)} categories and {len(pictures)} "
            "images; give another file"
        )
    return categories, pictures


def _picture(images: Path, record: dict[str, Any], objects: list[dict[str, Any]], index: dict[int, int]) -> Annotated:
    left_top_size = np.array([annotation["bbox"] for annotation in objects], np.float64).reshape(-1, 4)
    left, top, width, height = left_top_size.T
    has_size = record.get("height") is not None and record.get("width") is not None
    return Annotated(
        path=images / str(record["file_name"]),
        image_id=int(record["id"]),
        boxes=np.stack([top, left, top + height, left + width], axis=1),
        classes=np.array([index.get(annotation["category_id"], -1) for annotation in objects], np.int32),
        size=(int(record["height"]), int(record["width"])) if has_size else None,
        areas=np.array(
            [annotation.get("area", w * h) for annotation, w, h in zip(objects, width, height, strict=True)], np.float64
        ),
        crowd=np.array([bool(annotation.get("iscrowd", 0)) for annotation in objects], bool),
    )
