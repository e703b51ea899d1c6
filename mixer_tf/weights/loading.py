"""Published weights into a model: read, rename, check everything, and only then assign."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import ml_dtypes
import numpy as np

from mixer_tf.checks import require_type
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.weights.files import Checkpoint, read_checkpoint
from mixer_tf.weights.heads import HEAD_LAYERS, TASK_LAYERS, heads_differ, is_head_layer, owner
from mixer_tf.weights.keras_files import KERAS_FILES, read_keras
from mixer_tf.weights.layout import Binding, Layout
from mixer_tf.weights.layouts import OWN, architecture_of, guess, layout_named, layouts_of
from mixer_tf.weights.preprocessing import find_preprocessing
from mixer_tf.weights.report import LoadReport, WeightsMismatch
from mixer_tf.weights.resizing import grids_of, has_rule, resized

_log = logging.getLogger(__name__)

_PREFIXES = ("module.", "_orig_mod.", "opt/target/", "params/")  # what training code puts around a model
_OPTIMIZER = "opt/state/"


def load_weights(
    model: keras.Model,
    source: str | os.PathLike[str] | Mapping[str, np.ndarray],
    *,
    layout: str | None = None,
    skip_head: bool = False,
    resize: bool = True,
    preprocessing: Preprocessing | None = None,
) -> LoadReport:
    """Load a published checkpoint into a model, strictly: every array finds its place, or nothing is loaded.

    Names and axes are changed as the architecture's table in `mixer_tf/weights/layouts/` says. Weights that belong to
    another image size (position tables, token mixing, axis kernels, filters) are resized to the model's, by the rules
    that the layout names. Other floating-point types become the variables' own. PyTorch's files are read without
    PyTorch, and nothing in them is run.

    A file of the package's own (`.keras`) may be of the backbone alone, or of a model that predicts what is masked in
    pictures or texts: any model that continues the backbone takes the backbone's weights from it, and keeps its head.

    Args:
        model: a backbone, a model with a head, or any `keras.Model` that continues a backbone and calls its own last
            layer `head`.
        source: a `.npz`, `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.bin`, `.keras` or `.weights.h5` file, or a
            mapping from names to arrays.
        layout: the naming in the file, such as `"timm"` or `"google"`; None finds it out from the names.
        skip_head: leave the model's head as it is and the checkpoint's out: for another number of classes or size of
            patches, or where only one of the two has a head. What stands before the last layer of a head, and the
            heads that BERT is pretrained with, are loaded where both have them. Not for `.weights.h5`.
        resize: resize weights that belong to another image size; False refuses them.
        preprocessing: what the weights expect of a picture; None takes it from the file, from a `config.json` (timm)
            or `preprocessor_config.json` (Hugging Face) beside it, or from what is known of such files. With the
            model's own image size it becomes `model.preprocessing`.

    Returns:
        What was loaded, resized, converted, and left out.

    Raises:
        FileNotFoundError: when there is no such file.
        ImportError: when a `.safetensors` file is given and safetensors is not installed.
        WeightsMismatch: when arrays are missing, left over or of another shape (it is a `ValueError`).
        ValueError: when the file is damaged or asks for Python objects, the layout is unknown, or an array holds no
            finite floating-point numbers.

    Example:
        >>> import mixer_tf as mt
        >>> path = mt.save_weights(model, "digits.safetensors", layout="timm")  # or a published file
        >>> fine_tuned = mt.classifier(mt.create_backbone("vit", **vit_arguments), num_classes=3)
        >>> load_weights(fine_tuned, path, skip_head=True).skipped
        ('head.bias', 'head.weight')
    """
    require_type("model", model, keras.Model)
    require_type("skip_head", skip_head, bool)
    require_type("resize", resize, bool)
    checkpoint = _read(model, source, skip_head)
    architecture = architecture_of(model)
    arrays, state = _unwrapped(checkpoint.arrays)
    if layout is None and checkpoint.metadata.get("layout") == OWN.name:
        layout = OWN.name
    chosen = layout_named(layout, architecture) if layout else _layout_of(arrays, model, architecture)
    arrays = chosen.without_aliases(_renamed(chosen.respell, arrays))

    bindings, kept, needless = _correspondence(model, chosen, arrays, skip_head)
    arrays = {name: array for name, array in arrays.items() if name not in needless}
    resizings: tuple[str, ...] = ()
    if resize:
        arrays, resizings = resized(chosen, bindings, arrays, grids_of(model, checkpoint, chosen))
    _check_match(f"{checkpoint.name} must fit {model.name}", architecture, chosen, bindings, arrays)
    values, converted = _values(bindings, arrays)
    expected = find_preprocessing(model, preprocessing, checkpoint, chosen)

    for binding, value in zip(bindings, values, strict=True):  # nothing is assigned before all of it is known to fit
        binding.variable.assign(value)
    model.preprocessing = expected
    report = LoadReport(
        source=checkpoint.name,
        architecture=architecture,
        layout=chosen.name,
        arrays=len(arrays),
        parameters=sum(value.size for value in values),
        resized=resizings,
        converted=converted,
        skipped=(*state, *needless),
        kept=kept,
        preprocessing=expected,
    )
    _log.info("%s", report)
    return report


def _read(model: keras.Model, source, skip_head: bool) -> Checkpoint:
    if isinstance(source, Mapping):
        return Checkpoint({name: np.asarray(array) for name, array in source.items()})
    path = Path(source)
    if not path.name.endswith(KERAS_FILES):
        return read_checkpoint(path)
    if skip_head and path.suffix == ".h5":
        raise ValueError(
            f"skip_head needs a file that names its arrays; given: {path.name}, which does not: save a .keras file"
        )
    return read_keras(path, model)


def _unwrapped(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The model's arrays without the prefixes of training code, and the names of the optimizer's."""
    state = [name for name in arrays if name.startswith(_OPTIMIZER)]
    return _renamed(lambda name: functools.reduce(str.removeprefix, _PREFIXES, name), arrays, without=state), state


def _renamed(
    rename: Callable[[str], str], arrays: Mapping[str, np.ndarray], without: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    renamed: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name in without:
            continue
        if (new := rename(name)) in renamed:
            raise ValueError(f"a checkpoint must hold every array once; given: {new} twice, one of them as {name}")
        renamed[new] = array
    return renamed


def _layout_of(arrays: Mapping[str, np.ndarray], model: keras.Model, architecture: str | None) -> Layout:
    """The layout in which the model finds most of its arrays."""

    def found(layout: Layout) -> int:
        names = {layout.respell(name) for name in arrays}
        return sum(name in names for binding in layout.bind(model) for name in binding.names)

    return max(layouts_of(architecture), key=found)


def _correspondence(
    model: keras.Model, layout: Layout, arrays: Mapping[str, np.ndarray], skip_head: bool
) -> tuple[list[Binding], tuple[str, ...], tuple[str, ...]]:
    """The bindings to load, the model's arrays that may keep their values, and the file's that are left out."""
    bindings: list[Binding] = []
    kept: list[str] = []
    candidates = layout.bind(model)
    apart = heads_differ([binding.layer.name for binding in candidates], arrays, own_names=layout.name == OWN.name)
    for binding in candidates:
        name = binding.layer.name
        may_lack = name in layout.optional or (skip_head and is_head_layer(name))
        left_alone = is_head_layer(name) if apart else skip_head and name in TASK_LAYERS
        if left_alone or (may_lack and arrays.keys().isdisjoint(binding.names)):
            kept.extend(binding.names)
        else:
            bindings.append(binding)
    wanted = {array for binding in bindings for array in binding.names}
    needless = {
        *layout.derived_arrays(model),
        *(name for name in arrays if layout.is_ignored(name)),
        *(name for name in arrays if skip_head and layout.knows(name, HEAD_LAYERS)),
        *(name for name in arrays if (skip_head or apart) and is_head_layer(owner(name))),
    }
    return bindings, tuple(kept), tuple(array for array in arrays if array in needless - wanted)


def _check_match(
    claim: str, architecture: str | None, layout: Layout, bindings: list[Binding], arrays: Mapping[str, np.ndarray]
) -> None:
    """Raise `WeightsMismatch` unless the arrays are exactly those of the bindings, in name and shape."""
    shapes = {name: binding.shape for binding in bindings for name in binding.names}
    missing = [name for name in shapes if name not in arrays]
    extra = [name for name in arrays if name not in shapes]
    misshapen = {
        name: (array.shape, shapes[name])
        for name, array in arrays.items()
        if array.shape != shapes.get(name, array.shape)
    }
    wrong = [*missing, *extra, *misshapen]
    if not wrong:
        return
    fitting, likely = (architecture, layout.name), guess(arrays)
    if all(layout.knows(name, HEAD_LAYERS) or is_head_layer(owner(name)) for name in wrong):
        hint = "skip_head=True keeps the model's head, or none, and leaves the file's out"
    elif likely and likely != fitting:
        hint = f"the file looks like {likely[0]} in layout {likely[1]}"
    elif misshapen and not missing and not extra and has_rule(layout, bindings, misshapen):
        hint = (
            "weights of another image size are resized only from a square grid, or from a .safetensors file, which "
            "tells its own: build the model for their size"
        )
    else:
        hint = "check the arguments and the image size that the model was built with"
    claim = f"{claim} ({architecture or 'own architecture'}, layout {layout.name})"
    raise WeightsMismatch(claim, missing, extra, misshapen, hint)


def _values(bindings: list[Binding], arrays: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """A finite value for every variable, in its own type, and notes of the arrays that had another type."""
    values, converted = [], []
    for binding in bindings:
        dtype = np.dtype(binding.variable.dtype)
        for name in binding.names:
            given = arrays[name].dtype
            if _is_floating(given) != _is_floating(dtype):
                raise ValueError(f"{name} must hold {dtype} numbers; given: {given}; save it as floating point")
            converted += [f"{name} {given}"] if given != dtype else []
        with np.errstate(over="ignore"):
            value = binding.to_variable([arrays[name] for name in binding.names]).astype(dtype, copy=False)
        if not np.isfinite(value).all():
            raise ValueError(
                f"{' and '.join(binding.names)} must hold finite numbers in {dtype}; given: NaN or infinite"
            )
        values.append(value)
    return values, tuple(converted)


def _is_floating(dtype: np.dtype) -> bool:
    return np.issubdtype(dtype, np.floating) or dtype == ml_dtypes.bfloat16
