"""PyTorch's ZIP files read without PyTorch, and without running anything that they ask for.

A `.pth` is a pickle, and a pickle is a program: it names Python functions and calls them. The unpickler here answers
to a handful of names with inert records, and refuses every other name before anything has run. Only when the whole
pickle has been read are the records of tensors checked against the bytes of the file.
"""

from __future__ import annotations

import collections
import functools
import io
import logging
import pickle
import pickletools
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from mixer_tf.weights.report import one_line

_log = logging.getLogger(__name__)

_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_DTYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}

# Where training checkpoints keep the weights; a moving average is taken only where there is nothing else.
_NESTS = ("state_dict", "model_state_dict", "model", "module", "net", "model_ema", "state_dict_ema")


class _Tensor(NamedTuple):
    """A tensor as the pickle describes it; nothing in it is checked yet."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class _Inert:
    """Stands for bookkeeping that no weight depends on: takes whatever it is given and does nothing."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


class _Callable:
    """A function that the pickle may call, and nothing else: pickle's BUILD could set attributes of a plain one."""

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setstate__(self, state):
        raise _DamagedError("its pickle sets attributes of a function")


def _rebuild_tensor(storage, offset, size, stride, *_):
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data, *_):
    return data


def _size(dimensions=()):
    return dimensions


# The only names that a pickle may ask for, by what they become.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Callable(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Callable(_rebuild_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Callable(_rebuild_parameter),
    ("torch", "Size"): _Callable(_size),
    **{("torch", storage): storage for storage in _DTYPES},  # a tag, not a class
    ("torch", "device"): _Inert,
    ("argparse", "Namespace"): _Inert,
    ("numpy", "dtype"): _Inert,
    ("numpy.core.multiarray", "scalar"): _Inert,
    ("numpy._core.multiarray", "scalar"): _Inert,
    ("_codecs", "encode"): _Inert,  # how protocol 2 writes the bytes of a numpy scalar
}


class _RefusedError(Exception):
    """The pickle asked for a name that is not allowed."""


class _DamagedError(Exception):
    """The file does not hold together."""


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries, lists, numbers, strings and `_Tensor` records; refuses the rest by name."""

    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid):
        return pid  # ("storage", dtype tag, key, device, number of elements)


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch checkpoint by name, as read-only views of the storages that they share.

    A checkpoint that nests them is followed: `state_dict`, `model_state_dict`, `model`, `module`, `net`, and only
    where none of these exists a moving average, `model_ema` or `state_dict_ema`.

    Raises:
        ValueError: when the file asks for anything but tensors and plain containers, is no whole ZIP file of
            PyTorch's, or a tensor reaches beyond its storage.
    """
    with path.open("rb") as file:
        if file.read(len(_LEGACY_MAGIC)) == _LEGACY_MAGIC:
            raise ValueError(
                f"{path} must be a ZIP file, as PyTorch writes since version 1.6; given: the older format; "
                "convert it in PyTorch: torch.save(torch.load(path, weights_only=True), new_path)"
            )
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive)
    except _RefusedError as refused:
        raise ValueError(
            f"{path} must hold tensors only, but asks for the Python object {one_line(refused)}; "
            "nothing of it has run: save the model's state_dict() alone"
        ) from None
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{path} must be a whole ZIP file of PyTorch's ({one_line(error)}); download or save it again"
        ) from None
    except _DamagedError as error:
        raise ValueError(
            f"{path} must be a sound checkpoint, but {one_line(error)}; download or save it again"
        ) from None


def _read_archive(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    names = archive.namelist()
    root = next((name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")), None)
    if root is None:
        raise _DamagedError("it has no data.pkl")
    tensors = _unpickled(_stored(archive, f"{root}data.pkl"))
    if not tensors:
        raise _DamagedError("it holds no tensors")
    byteorder = _stored(archive, f"{root}byteorder").decode() if f"{root}byteorder" in names else "little"
    storages = _Storages(archive, f"{root}data/", byteorder)
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a member. PyTorch never compresses any, a ZIP bomb does."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise _DamagedError(f"{name} is compressed")
    return archive.read(info)


def _unpickled(program: bytes) -> dict[str, _Tensor]:
    try:
        for opcode, argument, _ in pickletools.genops(program):
            # Python would reserve memory for as many objects.
            if isinstance(argument, int) and opcode.name.endswith("PUT") and argument > len(program):
                raise _DamagedError("its pickle numbers more objects than it has bytes")
        return _state_dict(_Unpickler(io.BytesIO(program), encoding="utf-8").load())
    except (_RefusedError, _DamagedError):
        raise
    except Exception as error:  # a broken pickle can raise anything
        raise _DamagedError(f"its pickle cannot be read ({type(error).__name__}: {error})") from None


def _state_dict(checkpoint, depth: int = 3) -> dict[str, _Tensor]:
    """The tensors of a dictionary, or of the one nested in it that holds the weights."""
    if not isinstance(checkpoint, dict):
        raise _DamagedError("it holds no dictionary of tensors")
    tensors = {str(name): value for name, value in checkpoint.items() if isinstance(value, _Tensor)}
    for key in _NESTS:
        if tensors or not depth:
            break
        if isinstance(checkpoint.get(key), dict) and (tensors := _state_dict(checkpoint[key], depth - 1)):
            left = ", ".join(str(other) for other in checkpoint if other != key)
            _log.info("weights taken from %r of the checkpoint; left: %s", key, left or "nothing")
    return tensors


class _Storages:
    """The blocks of numbers that tensors share, each read once."""

    def __init__(self, archive: zipfile.ZipFile, root: str, byteorder: str):
        self._archive, self._root, self._swap = archive, root, byteorder != sys.byteorder
        self._read = functools.cache(self._read_storage)

    def __getitem__(self, record) -> np.ndarray:
        match record:
            case ("storage", str(tag), str(key), _, int(size)) if tag in _DTYPES:
                storage = self._read(tag, key)
                if size > storage.size:
                    raise _DamagedError(f"storage {key} holds {storage.size} numbers of {size}")
                return storage
        raise _DamagedError("a tensor has no storage")

    def _read_storage(self, tag: str, key: str) -> np.ndarray:
        try:
            content = _stored(self._archive, self._root + key)
        except KeyError:
            raise _DamagedError(f"storage {key} is missing") from None
        dtype = np.dtype(_DTYPES[tag])
        numbers = np.frombuffer(content, np.uint8)
        numbers = numbers[: numbers.size // dtype.itemsize * dtype.itemsize].reshape(-1, dtype.itemsize)
        return np.ascontiguousarray(numbers[:, :: -1 if self._swap else 1]).reshape(-1).view(dtype)


def _array(name: str, tensor: _Tensor, storages: _Storages) -> np.ndarray:
    """The strided view that a tensor's record describes, once everything in the record has been checked."""
    storage = storages[tensor.storage]
    offset, size, stride = tensor.offset, tensor.size, tensor.stride
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        raise _DamagedError(f"tensor {name} has no shape")
    if not all(isinstance(number, int) and number >= 0 for number in (offset, *size, *stride)):
        raise _DamagedError(f"tensor {name} has a shape or stride that is no whole number")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if offset > storage.size or (0 not in size and last >= storage.size):
        raise _DamagedError(f"tensor {name} reaches beyond its storage of {storage.size} numbers")
    strides = [step * storage.itemsize for step in stride]
    try:
        return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)
    except (ValueError, OverflowError) as error:
        raise _DamagedError(f"tensor {name} is too large ({error})") from None
