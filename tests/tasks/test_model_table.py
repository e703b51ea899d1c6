"""The README's tables are those that the code gives."""

import re
import runpy
from pathlib import Path

import pytest

import mixer_tf as mt

ROOT = Path(__file__).parents[2]
PROGRAM = runpy.run_path(str(ROOT / "tasks" / "model_table.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(name):
    """What stands in the README between a table's marks."""
    return README.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]


@pytest.mark.parametrize("name", mt.list_backbones())
def test_readme_says_of_a_backbone_what_the_code_says(name):
    """As `python tasks/model_table.py --check`, but a row at a time, so that several processes share the work."""
    assert PROGRAM["markdown"](PROGRAM["model_row"](name), []).splitlines()[0] in table("models").splitlines()


@pytest.mark.parametrize("name", ["runs", "masked runs", "detection runs"])
def test_readme_says_of_runs_what_the_recipes_say(name):
    assert PROGRAM[f"{name.replace('runs', 'run').replace(' ', '_')}_table"]() == table(name)


def test_every_backbone_has_a_row():
    table = README.partition("<!-- models -->")[2].partition("<!-- end -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == mt.list_backbones()


def test_published_figures_belong_to_backbones_that_exist():
    names = [line.partition(",")[0] for line in (ROOT / "tasks" / "published.csv").read_text().splitlines()[1:]]
    assert set(names) <= set(mt.list_backbones())
    assert len(set(names)) == len(names)


def test_every_recipe_says_what_was_measured_or_that_nothing_was():
    for path in (ROOT / "tasks" / "recipes").glob("*.py"):
        docstring = path.read_text(encoding="utf-8").split('"""')[1]
        measured = any(PROGRAM[pattern].search(docstring) for pattern in ("MEASURED", "GUESSED", "DETECTED"))
        assert measured or "Measured on" in docstring or "not run here" in docstring.lower(), path.stem


def test_a_table_stands_between_its_marks():
    text = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkept\n<!-- end -->\n"
    assert PROGRAM["with_table"](text, "x", "new") == text.replace("old", "new")
