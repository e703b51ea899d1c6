"""Version folders that appear at once or not at all."""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path


def publish(directory: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a folder, then rename it to the next integer below `directory`; return where it stands.

    A server polls for folders with integer names and would load a half-written one. So the work is done beside them,
    under a name that the server ignores, and an existing version is never touched. When `write` raises, nothing stays.

    Example:
        >>> publish(Path("saved_models/flowers"), lambda folder: folder.mkdir())
        PosixPath('saved_models/flowers/1')
    """
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".tmp-{uuid.uuid4().hex}"
    try:
        write(draft)
        return _rename_to_next_version(draft, directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename_to_next_version(draft: Path, directory: Path) -> Path:
    while True:
        versions = [int(child.name) for child in directory.iterdir() if child.name.isdecimal()]
        path = directory / str(max(versions, default=0) + 1)
        try:
            os.rename(draft, path)
        except OSError:
            if not path.exists():  # otherwise another publisher took this number in the meantime
                raise
        else:
            return path
