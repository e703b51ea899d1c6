"""What a checkpoint expects of a picture: told by the caller, the file, its neighbours, or its kind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.weights.files import Checkpoint
from mixer_tf.weights.layout import Layout

_KEY = "preprocessing"

_PIL_FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic", 4: "area"}  # PIL.Image.Resampling; 4 is "box"


def find_preprocessing(
    model: keras.Model, given: Preprocessing | None, checkpoint: Checkpoint, layout: Layout
) -> Preprocessing | None:
    """The preprocessing for a model that has just got these weights, at the model's own image size.

    The first that exists of: the one given; the metadata of the file; a `config.json` (timm) or
    `preprocessor_config.json` (Hugging Face) beside it; the layout's default for a file of that name; the one that the
    model already has. None for a model that takes no pictures `[b, H, W, 3]` of fixed size.
    """
    size = image_size(model)
    if size is None:
        return None
    known = given or _from_metadata(checkpoint) or _from_sidecar(checkpoint.path, size)
    if known is None and layout.preprocessing is not None:
        file_name = checkpoint.path.name if checkpoint.path else ""
        layer_names = {layer.name for layer in model.layers}
        known = Preprocessing(size, **layout.preprocessing(file_name, size, layer_names))
    known = known or getattr(model, "preprocessing", None)
    return dataclasses.replace(known, image_size=size) if known else None


def preprocessing_metadata(model: keras.Model) -> dict[str, str]:
    """What a file with the model's weights says about pictures: JSON under `"preprocessing"`, where it is known."""
    preprocessing = getattr(model, "preprocessing", None)
    return {_KEY: json.dumps(preprocessing.to_dict())} if preprocessing else {}


def image_size(model: keras.Model) -> tuple[int, int] | None:
    """Height and width of the pictures that a model reads; None when it reads none of fixed size."""
    for tensor in model.inputs:
        match tensor.shape:
            case (_, int(height), int(width), 3) if len(model.inputs) == 1 or tensor.name == "image":
                return height, width
    return None


def _from_metadata(checkpoint: Checkpoint) -> Preprocessing | None:
    text = checkpoint.metadata.get(_KEY)
    if text is None:
        return None
    with _understood(f"the metadata of {checkpoint.name}"):
        return Preprocessing.from_dict(json.loads(text))


def _from_sidecar(path: Path | None, image_size: tuple[int, int]) -> Preprocessing | None:
    for name, read in (("config.json", _from_timm), ("preprocessor_config.json", _from_huggingface)):
        sidecar = path.with_name(name) if path else None
        if sidecar and sidecar.is_file():
            with _understood(str(sidecar)):
                if arguments := read(json.loads(sidecar.read_text(encoding="utf-8"))):
                    return Preprocessing(image_size, **arguments)
    return None


def _from_timm(config: dict[str, Any]) -> dict[str, Any] | None:
    if "pretrained_cfg" not in config:  # Hugging Face's config.json describes the model instead
        return None
    config = config["pretrained_cfg"]
    return {
        "mean": config["mean"],
        "std": config["std"],
        "crop": config["crop_pct"],
        "interpolation": config["interpolation"],
    }


def _from_huggingface(config: dict[str, Any]) -> dict[str, Any]:
    def side(size: int | dict[str, int]) -> int:
        return size if isinstance(size, int) else size.get("shortest_edge") or size["height"]

    normalized = config.get("do_normalize", True)
    cropped = config.get("do_center_crop", "crop_size" in config)
    return {
        "mean": config["image_mean"] if normalized else (0.0, 0.0, 0.0),
        "std": config["image_std"] if normalized else (1.0, 1.0, 1.0),
        "crop": side(config["crop_size"]) / side(config["size"]) if cropped else 1.0,
        "interpolation": _PIL_FILTERS[config["resample"]],
    }


@contextlib.contextmanager
def _understood(where: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where} must describe a preprocessing ({type(error).__name__}: {error}); pass preprocessing= instead"
        ) from None
