"""The folder that a run leaves behind, and goes on with when it is started again."""

import dataclasses
import json
import logging
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from mixer_tf.checks import require, require_folder
from mixer_tf.recipe import Recipe
from mixer_tf.training.checkpoints import complete_checkpoints

logger = logging.getLogger(__name__)

ASIDE = ".recipe.json"

FREE_TO_CHANGE = {  # what does not decide how a run turns out, so that it may go on with another value
    *("output_dir", "resume", "export", "data_dir", "tensorboard", "checkpoint_every", "keep_checkpoints"),
    *("strategy", "replicas", "tpu", "fill", "prompt", "predict", "score_threshold"),
}


def finished_metrics(recipe: Recipe) -> dict[str, float] | None:
    """The final figures in the recipe's `output_dir` if its run has finished; None if there is something to do.

    Raises:
        ValueError: if the folder holds the run of another recipe or what is no run, or anything with `resume=false`.
    """
    folder = Path(recipe.output_dir)
    require(not folder.exists() or folder.is_dir(), f"output_dir must be a folder; given: {folder}, a file")
    content = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    content = [name for name in content if name != ASIDE]  # of a process that was killed while it wrote the recipe
    if not content:
        return None
    require(
        recipe.resume,
        f"output_dir must be empty with resume=false; given: {folder} with {content[0]}; take another or remove it",
    )
    require(
        "recipe.json" in content,
        f"output_dir must be empty or hold a run; given: {folder} with {content[0]} and no recipe.json; take another",
    )
    finished = folder / "metrics.json"
    if finished.exists() or complete_checkpoints(folder / "checkpoints"):
        _require_same(recipe, folder)
    return json.loads(finished.read_text(encoding="utf-8")) if finished.exists() else None


def create_run_folder(recipe: Recipe) -> Path:
    """Make the recipe's `output_dir` and write the recipe into it, with the versions that it runs with."""
    folder = Path(recipe.output_dir)
    require_folder("output_dir", folder)
    write_json(folder / "recipe.json", {**dataclasses.asdict(recipe), "versions": _versions()})
    return folder


def require_same_data(recipe: Recipe, fingerprints: Mapping[str, str], *, write: bool = True) -> None:
    """Note in `data.json` what data a run begins with; a run that goes on must find the same again.

    Args:
        recipe: of the run.
        fingerprints: by the name of what each tells apart, such as `{"texts": "5f0c", "vocabulary": "97a1"}`.
        write: whether to note them; of several workers one does.

    Raises:
        ValueError: if the run has a checkpoint, and began with others.
    """
    folder = Path(recipe.output_dir)
    file = folder / "data.json"
    begun = complete_checkpoints(folder / "checkpoints") and file.exists()
    noted = json.loads(file.read_text(encoding="utf-8")) if begun else fingerprints
    other = [name for name, value in fingerprints.items() if noted.get(name) != value]
    require(
        not other,
        f"output_dir must hold a run on the same {' and '.join(fingerprints)}; given: {folder}, begun with other "
        f"{' and other '.join(other)}; take another output_dir, or give back what it began with",
    )
    if write and fingerprints and not begun:
        write_json(file, dict(fingerprints))


def write_json(path: Path, content: dict) -> None:
    """Write a dictionary so that people can read it, whole or not at all."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, path)


def table_of(figures: dict[str, float]) -> str:
    """Figures as lines of two columns, for the end of a run."""
    width = max(map(len, figures))
    return "\n".join(f"  {name:<{width}}  {_readable(value)}" for name, value in figures.items())


def _require_same(recipe: Recipe, folder: Path) -> None:
    begun = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    given = json.loads(json.dumps(dataclasses.asdict(recipe)))
    other = [name for name, value in given.items() if name not in FREE_TO_CHANGE and begun.get(name) != value]
    require(
        not other,
        f"output_dir must hold a run of the same recipe; given: {folder}, begun with another "
        f"{', '.join(f'{name} ({begun.get(name)!r}, now {given[name]!r})' for name in other)}; take another output_dir",
    )
    changed = [name for name, version in _versions().items() if begun["versions"].get(name) != version]
    if changed:
        logger.warning("%s goes on with another version of %s than it began with", folder, ", ".join(changed))


def _readable(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if abs(value) < 100 else f"{value:,.1f}"


def _versions() -> dict[str, str]:
    packages = ("mixer-tf", "keras", "tensorflow", "numpy")
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}
