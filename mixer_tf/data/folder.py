"""Pictures in folders: `<root>/<split>/<class>/*`, or without labels `<root>/<split>/*`."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.data.images import decode_image, find_broken
from mixer_tf.data.splits import ImageSource, Split, choose_split, in_memory

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
_NO_CLASS = ("",)  # the folder of its pictures is the split's own

_log = logging.getLogger(__name__)


def open_folder(
    root: Path, skip_broken: bool, train_split: str | None, eval_split: str | None, labelled: bool = True
) -> ImageSource:
    """Open `folder:PATH`; see `open_images`. Every picture is decoded once: a broken one shows before training."""
    if not root.is_dir():
        raise ValueError(f"folder:PATH must name an existing folder; given: {root}; check the path")
    splits = _subfolders(root)
    if labelled and "train" not in splits and any(_pictures(root / name) for name in splits):
        raise ValueError(
            f"pictures must lie in {root}/<split>/<class>/, but {root}/{splits[0]} and its neighbours hold pictures "
            f"themselves; move the class folders into {root}/train and {root}/validation"
        )
    names = (
        choose_split("train_split", train_split, ("train",), splits),
        choose_split("eval_split", eval_split, ("validation", "val", "test"), splits),
    )
    class_names = _class_names(root, names, labelled)
    files = {name: _class_files(root / name, class_names) for name in names}
    broken = _check([path for split in files.values() for paths in split for path in paths], skip_broken)

    def split(name: str) -> Split:
        usable = [[path for path in paths if path not in broken] for paths in files[name]]
        for class_name, paths in zip(class_names, usable, strict=True):
            _require_pictures(root / name / class_name, paths)
        labels = np.repeat(np.arange(len(usable), dtype=np.int32), [len(paths) for paths in usable])
        encoded_paths = np.array([os.fsencode(path) for paths in usable for path in paths], object)
        return in_memory(name, encoded_paths, labels, decode=_read_picture)

    known = class_names if class_names != _NO_CLASS else ("unlabelled",)
    return ImageSource(f"folder:{root}", known, split(names[0]), split(names[1]), skipped=len(broken))


def _class_names(root: Path, splits: tuple[str, str], labelled: bool) -> tuple[str, ...]:
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
    if not first and not labelled:
        return _NO_CLASS
    if labelled and len(first) < 2:
        raise ValueError(f"there must be at least two class folders in {root / splits[0]}; given: {_listed(first)}")
    for name in splits:
        if strays := [path for path in (root / name).iterdir() if path.is_file() and not path.name.startswith(".")]:
            _log.warning("%s: left out %d files beside the folders of pictures", root / name, len(strays))
    return tuple(first)


def _class_files(folder: Path, class_names: tuple[str, ...]) -> list[list[str]]:
    files = [_pictures(folder / class_name) for class_name in class_names]
    for class_name, paths in zip(class_names, files, strict=True):
        _require_pictures(folder / class_name, paths)
    return files


def _require_pictures(folder: Path, paths: list[str]) -> None:
    if not paths:
        raise ValueError(
            f"every folder of pictures must hold readable ones ({', '.join(EXTENSIONS)}), {folder} holds none; "
            "add some, or remove a class from every split"
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
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    pictures = [str(path) for path in entries if path.is_file() and path.suffix.lower() in EXTENSIONS]
    if others := len(entries) - len(pictures):
        _log.warning("%s: left out %d files or folders that are not %s", folder, others, ", ".join(EXTENSIONS))
    return pictures


def _listed(names) -> str:
    names = sorted(names)
    shown = ", ".join(names[:10]) or "none"
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
