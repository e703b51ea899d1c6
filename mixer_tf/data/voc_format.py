"""Annotations in the format of PASCAL VOC: one XML file for each picture.

`JPEGImages/<id>.jpg`, `Annotations/<id>.xml`, and the ids of each split in `ImageSets/Main/<split>.txt`. A box counts
pixels from 1 and includes its last one: the box (1, 1, w, h) is the whole picture.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from mixer_tf.data.detection_files import Annotated, one_line, open_files
from mixer_tf.data.detection_splits import DetectionSource
from mixer_tf.data.splits import choose_split


def open_voc(root: Path, skip_broken: bool, train_split: str | None, eval_split: str | None) -> DetectionSource:
    """Open `voc:FOLDER`; see `open_detection`."""
    lists = root / "ImageSets" / "Main"
    if not lists.is_dir():
        raise ValueError(
            f"voc:FOLDER must hold JPEGImages, Annotations and ImageSets/Main; given: {root}; check the path"
        )
    splits = sorted(path.stem for path in lists.glob("*.txt") if "_" not in path.stem)  # cat_train.txt is a class's
    has_test = "test" in splits  # then all of trainval is free to train on
    evaluation = choose_split("eval_split", eval_split, ("test", "val"), splits)
    train = choose_split("train_split", train_split, ("trainval", "train") if has_test else ("train",), splits)

    ids = _ids(lists / f"{train}.txt"), _ids(lists / f"{evaluation}.txt")
    elements = {i: _parse(root / "Annotations" / f"{i}.xml") for i in ids[0] + ids[1]}
    class_names = sorted({_text(o, "name") for element in elements.values() for o in element.findall("object")})
    if not class_names:
        raise ValueError(f"the annotations must hold objects, those of {root} hold none; give another folder")
    numbers = {i: number for number, i in enumerate(elements)}  # VOC's ids are no numbers
    first, second = ([_picture(root, i, numbers[i], elements[i], class_names) for i in part] for part in ids)
    return open_files(f"voc:{root}", class_names, (train, evaluation), (first, second), skip_broken)


def _ids(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(f"a split must be a file of {path.parent}; given: {path.stem!r}; choose one of these")
    return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _parse(path: Path) -> ET.Element:
    """Read one file. Declarations are refused: an entity could unfold to gigabytes, or name another file."""
    try:
        text = path.read_text(encoding="utf-8")  # UTF-8 only: in another encoding a declaration might hide
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares a document type")
        return ET.fromstring(text)
    except OSError as error:
        raise ValueError(f"every picture of a split must have its annotations; {path}: {error.strerror}") from error
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"{path} must be an XML file in the format of VOC; it is not: {one_line(error)}") from error


def _picture(root: Path, name: str, number: int, element: ET.Element, class_names: list[str]) -> Annotated:
    objects = element.findall("object")
    try:
        boxes = [[float(_text(o, f"bndbox/{key}")) for key in ("ymin", "xmin", "ymax", "xmax")] for o in objects]
        difficult = [int(o.findtext("difficult") or 0) for o in objects]
        size = [int(_text(element, f"size/{key}")) for key in ("height", "width")]
    except ValueError as error:
        raise ValueError(
            f"the annotations {name}.xml in {root} must have numbers in size, bndbox and difficult; {one_line(error)}"
        ) from error
    path = root / "JPEGImages" / f"{name}.jpg"
    if not path.is_file() and (filename := element.findtext("filename")):  # a PNG picture, for example
        path = root / "JPEGImages" / Path(filename.strip()).name
    return Annotated(
        path=path,
        image_id=number,
        boxes=np.array(boxes, np.float64).reshape(-1, 4) - [1, 1, 0, 0],
        classes=np.array([class_names.index(_text(o, "name")) for o in objects], np.int32),
        size=(size[0], size[1]) if min(size) > 0 else None,  # some programs write 0 for what they do not know
        difficult=np.array(difficult, bool),
    )


def _text(element: ET.Element, path: str) -> str:
    if not (text := (element.findtext(path) or "").strip()):
        raise ValueError(f"<{element.tag}> must hold <{path}>")
    return text
