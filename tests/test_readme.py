"""The README tells the truth: its Python runs, its commands and files exist, its figures are those of the recipes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "saved_models" / "digits" / "1" / "saved_model.pb").exists()


def test_first_example_has_ten_lines_at_most():
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_programs_and_recipes_that_it_names_exist():
    paths = re.findall(r"(?:tasks|tests)/[\w/]+\.py", README)
    assert "tasks/image_classification.py" in paths
    for path in paths:
        assert (ROOT / path).exists(), path


def test_make_targets_that_it_names_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("bash")), flags=re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def recipe_rows():
    """(recipe, figures) of the table of measured runs."""
    return re.findall(r"^\| `(\w+)` \|[^|]*\|([^\n]*)\|$", README, flags=re.MULTILINE)


@pytest.mark.parametrize(("recipe", "figures"), [row for row in recipe_rows() if row[0].startswith(("digits", "fash"))])
def test_figures_of_a_run_are_those_of_its_recipe(recipe, figures):
    docstring = (ROOT / "tasks" / "recipes" / f"{recipe}.py").read_text()
    for figure in (cell.strip() for cell in figures.split("|")):
        assert figure in docstring, figure


def test_table_of_runs_has_every_recipe_that_was_run():
    measured = {path.stem for path in (ROOT / "tasks" / "recipes").glob("*.py") if "Measured" in path.read_text()}
    assert {recipe for recipe, _ in recipe_rows()} == measured
