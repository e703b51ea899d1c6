"""Checkpoints that a crash cannot spoil: the whole state of a run, in a folder that appears at once or not at all.

    checkpoints/step-00000120/state.npz      every variable of the model, the optimizer and the metrics
    checkpoints/step-00000120/progress.json  how far the run is

Stock formats leave out the state of dropout, and are spoilt by a crash while they are written.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import ops

from mixer_tf.checks import require

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: number of updates that were made.
        history: the figures of each epoch that has ended.
        train_seconds: time spent in training, by all processes of the run together.
    """

    step: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    train_seconds: float = 0.0


def write_checkpoint(folder: Path, state: Mapping[str, np.ndarray], progress: Progress, keep: int) -> None:
    """Write `folder/step-<step>` aside, sync it to the disk and rename it; then remove all but the newest `keep`.

    Raises:
        ValueError: if the disk is full or the folder cannot be written; the checkpoints that were there stay.
    """
    final, aside = folder / f"step-{progress.step:08d}", folder / f".writing-{progress.step}"
    try:
        if not final.exists():
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            with (aside / "state.npz").open("wb") as file:
                np.savez(file, **state)  # type: ignore[arg-type]  # no array is named as its own arguments are
                _sync(file)
            with (aside / "progress.json").open("w", encoding="utf-8") as file:
                json.dump(dataclasses.asdict(progress), file)
                _sync(file)
            aside.rename(final)
            _sync_folder(folder)
        for old in complete_checkpoints(folder)[keep:]:
            old.rename(doomed := folder / f".removing-{old.name}")  # at once, so that no half of it is ever read
            shutil.rmtree(doomed, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        newest = next(iter(complete_checkpoints(folder)), None)
        raise ValueError(
            f"a checkpoint must find room in a folder that can be written; given: {folder}: {error.strerror or error}; "
            f"make room and start again, the run goes on from {newest.name if newest else 'its beginning'}"
        ) from error


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted((path for path in found if re.fullmatch(r"step-\d{8,}", path.name)), key=_step, reverse=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, np.ndarray], Progress] | None:
    """The state and the progress of the newest checkpoint that can be read; None without any."""
    for path in complete_checkpoints(folder):
        try:
            with np.load(path / "state.npz", allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            return state, Progress(**json.loads((path / "progress.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s cannot be read and is left aside: %s", path, error)
    return None


def remove_unfinished(folder: Path) -> None:
    """Remove what a crash left half written or half removed."""
    for path in [*folder.glob(".writing-*"), *folder.glob(".removing-*")]:
        shutil.rmtree(path, ignore_errors=True)


def state_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Every number that the next step of a compiled model depends on, by group, place and name."""
    return {name: ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}


def restore(model: keras.Model, state: Mapping[str, np.ndarray], groups: tuple[str, ...]) -> None:
    """Give a model the numbers of `state_of`.

    Args:
        model: compiled, and built together with its metrics.
        state: the numbers.
        groups: which of `model`, `optimizer` and `metrics` to restore.

    Raises:
        ValueError: if the state is that of another model.
    """
    variables = _variables(model)
    shapes = {name: variable.shape for name, variable in variables.items()}
    given = {name: array.shape for name, array in state.items()}
    other = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
    require(not other, f"a checkpoint must be of the same model; given: another {', '.join(other[:3])}")
    for name, variable in variables.items():
        if name.partition("/")[0] in groups:
            variable.assign(state[name])


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All variables by group, place and name; an optimizer's are named after layers, of which Keras may count some."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": model.metrics_variables}
    return {
        f"{group}/{place}/{variable.name if group == 'model' else variable.name.rpartition('_')[2]}": variable
        for group, variables in groups.items()
        for place, variable in enumerate(variables)
    }


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename last; some file systems cannot, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        logger.debug("%s cannot be synced", folder)
    finally:
        os.close(descriptor)
