"""The folder that a run leaves behind."""

import dataclasses
import json
import platform
from importlib import metadata
from pathlib import Path

from mixer_tf.recipe import Recipe


def create_run_folder(recipe: Recipe) -> Path:
    """Make the recipe's `output_dir` and write the recipe into it, with the versions that it runs with.

    A folder that is not empty belongs to an earlier run: then `-2`, `-3` ... is appended to the name.
    """
    folder, number = Path(recipe.output_dir), 1
    while folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        number += 1
        folder = Path(f"{recipe.output_dir.rstrip('/')}-{number}")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "recipe.json", {**dataclasses.asdict(recipe), "versions": _versions()})
    return folder


def write_json(path: Path, content: dict) -> None:
    """Write a dictionary so that people can read it."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def table_of(figures: dict[str, float]) -> str:
    """Figures as lines of two columns, for the end of a run."""
    width = max(map(len, figures))
    return "\n".join(f"  {name:<{width}}  {_readable(value)}" for name, value in figures.items())


def _readable(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if abs(value) < 100 else f"{value:,.1f}"


def _versions() -> dict[str, str]:
    packages = ("mixer-tf", "keras", "tensorflow", "numpy")
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}
