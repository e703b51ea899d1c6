"""Checkpoint files to arrays and back. Whatever a file holds is data: nothing in it is ever run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import ml_dtypes
import numpy as np

from mixer_tf.checks import require
from mixer_tf.weights.report import one_line
from mixer_tf.weights.torch_files import read_torch


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Named arrays and where they come from.

    Attributes:
        arrays: name -> array, as the file has them.
        metadata: name -> text; only `.safetensors` files have any.
        path: the file, or None for arrays that were given as a mapping.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    path: Path | None = None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name if self.path else "the given mapping"


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the arrays of a published checkpoint.

    Args:
        path: a `.npz` (Google), `.safetensors`, or PyTorch file (`.pth`, `.pth.tar`, `.pt`, `.bin`). PyTorch's pickles
            are read without PyTorch and never run.

    Raises:
        FileNotFoundError: when there is no such file.
        ImportError: when a `.safetensors` file is given and the safetensors package is not installed.
        ValueError: when the file is damaged, is something else than its name says, or asks for Python objects.

    Example:
        >>> np.savez("weights.npz", **{"head/kernel": np.zeros((768, 10))})
        >>> read_checkpoint("weights.npz").arrays["head/kernel"].shape
        (768, 10)
    """
    path = Path(path)
    reader = next((read for suffix, read in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise ValueError(f"a checkpoint must be one of {', '.join(READABLE)}, .keras, .weights.h5; given: {path.name}")
    check_file(path)
    return reader(path)


def check_file(path: Path) -> None:
    """Refuse a path where no file is, or where a download left something else than the file.

    Raises:
        FileNotFoundError: when there is no file.
        ValueError: when it is a web page or a Git LFS pointer.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there must be a checkpoint file at {path}; none is there: check the path")
    with path.open("rb") as file:
        start = file.read(200).lstrip()
    for magic, what in ((b"<", "a web page"), (b"version https://git-lfs", "a Git LFS pointer")):
        if start.startswith(magic):
            raise ValueError(f"{path} must be a checkpoint, but holds {what}: download the file itself")


def require_zip(path: Path) -> None:
    """Refuse a file that should be a zip archive, as `.npz` and `.keras` are, and is none or a part of one.

    NumPy and Keras say something else of it: that it is a pickle, or that there is no such file.

    Raises:
        ValueError: when it is no whole archive.
    """
    require(
        zipfile.is_zipfile(path),
        f"{path} must be a whole {path.suffix} file, a zip archive; given: something else, or a part of one; download "
        "or save it again",
    )


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays to a `.safetensors` (with metadata) or `.npz` file: aside first, then renamed into place.

    Raises:
        ImportError: when a `.safetensors` file is wanted and the safetensors package is not installed.
        ValueError: when the path has another extension.
    """
    if path.suffix not in WRITABLE:
        raise ValueError(f"weights are saved as {' or '.join(WRITABLE)}; given: {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # safetensors ignores strides
    try:
        if path.suffix == ".npz":
            with aside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        else:
            _safetensors().numpy.save_file(arrays, aside, metadata=dict(metadata))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _read_npz(path: Path) -> Checkpoint:
    require_zip(path)
    damage = (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile)
    with _one_line(path, *damage), np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
        strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]  # bytes, not read
        require(not strange, f"{', '.join(strange[:3])} in it is no array")
    return Checkpoint({name: _as_bfloat16(array) for name, array in arrays.items()}, path=path)


def _as_bfloat16(array: np.ndarray) -> np.ndarray:
    """NumPy writes JAX's bfloat16 as two bytes of no type."""
    return array.view(ml_dtypes.bfloat16) if array.dtype == np.dtype("V2") else array


def _read_safetensors(path: Path) -> Checkpoint:
    safetensors = _safetensors()
    with _one_line(path, safetensors.SafetensorError, TypeError), safetensors.safe_open(path, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
        return Checkpoint(arrays, file.metadata() or {}, path)


def _read_torch(path: Path) -> Checkpoint:
    return Checkpoint(read_torch(path), path=path)


@contextlib.contextmanager
def _one_line(path: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise ValueError(
            f"{path} must be a whole {path.suffix} file ({one_line(error)}); download or save it again"
        ) from None


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError('.safetensors files need the safetensors package: pip install "mixer-tf[weights]"') from None
    return safetensors


_READERS = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    **dict.fromkeys((".pth", ".pth.tar", ".pt", ".bin"), _read_torch),
}
READABLE = tuple(_READERS)
WRITABLE = (".safetensors", ".npz")
