"""What a detector sees in the picture files of a user: annotated copies, and COCO's result file."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mixer_tf.analysis.coco import coco_results
from mixer_tf.analysis.detection import predict_detections
from mixer_tf.analysis.detection_pictures import draw_detections
from mixer_tf.checks import require
from mixer_tf.data.folder import EXTENSIONS
from mixer_tf.data.images import decode_image, find_broken

_log = logging.getLogger(__name__)


def annotate_pictures(
    model: keras.Model,
    path: str | Path,
    directory: str | Path,
    *,
    class_names: Sequence[str],
    category_ids: Sequence[int] | None = None,
    batch_size: int = 16,
) -> int:
    """Find the objects in a picture, or in all pictures below a folder, and write what was found.

    `<picture>.png` is a copy with boxes, class names and scores; `results.json` has all boxes in COCO's form, in pixels
    of the originals; `images.json` says which picture has which `image_id`: the number that is its name, as in COCO
    (`000000397133.jpg`), where all have different ones, else its place in the order of the names. A picture that
    cannot be decoded is left out, with a line in the log.

    Args:
        model: a detector with its `preprocessing`; its thresholds decide what is found.
        path: a file, or a folder that is searched with its subfolders.
        directory: where the files go; it is created if it is missing.
        class_names: the names of the classes.
        category_ids: the data set's own number of each class for `results.json`; None numbers them from 1.
        batch_size: pictures that are looked at together.

    Returns:
        The number of pictures written.

    Raises:
        ValueError: if there is no picture, none can be decoded, or the model does not know its preprocessing.
    """
    root, directory = Path(path), Path(directory)
    require(model.preprocessing is not None, "model must know its preprocessing; given: a model without")
    paths = _readable(_find_pictures(root))
    sizes: list[tuple[int, int]] = []

    def batch(encoded_paths):
        images = [decode_image(tf.io.read_file(name)) for name in encoded_paths]
        sizes.extend(tuple(image.shape[:2]) for image in images)
        return tf.stack([model.preprocessing(image) for image in images])

    names = [os.fsencode(path) for path in paths]
    batches = (batch(names[start : start + batch_size]) for start in range(0, len(names), batch_size))
    found = predict_detections(model, batches)
    for prediction, size in zip(found, sizes, strict=True):
        boxes = model.preprocessing.boxes_to_picture(prediction["boxes"], np.array(size))
        prediction["boxes"] = np.clip(boxes, 0.0, 1.0)
    ids = _image_ids(paths)
    for picture, prediction in zip(paths, found, strict=True):
        relative = picture.relative_to(root if root.is_dir() else root.parent)
        copy = directory / relative.parent / f"{relative.name}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        pixels = decode_image(tf.io.read_file(os.fsencode(picture))).numpy()
        drawn = draw_detections(pixels, prediction["boxes"], prediction["classes"], prediction["scores"], class_names)
        copy.write_bytes(tf.io.encode_png(drawn).numpy())
    categories = category_ids or range(1, len(class_names) + 1)
    _write(directory / "results.json", coco_results(found, ids, sizes, list(categories)))
    entries = zip(paths, ids, sizes, strict=True)
    columns = ("id", "file_name", "height", "width")
    _write(directory / "images.json", [dict(zip(columns, (i, str(p), *size), strict=True)) for p, i, size in entries])
    return len(paths)


def _find_pictures(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in EXTENSIONS)
    require(paths, f"there must be a picture ({', '.join(EXTENSIONS)}) to look at; given: {root}")
    return paths


def _readable(paths: list[Path]) -> list[Path]:
    broken = dict(find_broken(paths))
    for path, reason in broken.items():
        _log.warning("skipped the broken picture %s (%s)", path, reason)
    readable = [path for path in paths if str(path) not in broken]
    require(readable, f"a picture must be a readable JPEG, PNG, GIF or BMP; given: {paths[0]}")
    return readable


def _image_ids(paths: list[Path]) -> list[int]:
    stems = [path.stem for path in paths]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
    return numbers if len(set(numbers)) == len(paths) else list(range(1, len(paths) + 1))


def _write(path: Path, content) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
