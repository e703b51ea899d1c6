"""The README's tables are those that the code gives."""

import re
import runpy
from pathlib import Path

import pytest

import mixer_tf as mt
from mixer_tf.backbones import ARCHITECTURES
from tests.backbones.test_parameter_counts import COUNTS

ROOT = Path(__file__).parents[2]
PROGRAM = runpy.run_path(str(ROOT / "tasks" / "model_table.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(name):
    """What stands in the README between a table's marks."""
    return README.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]


@pytest.mark.parametrize("name", [next(iter(variants)) for _, variants in ARCHITECTURES.values()])
def test_readme_says_of_a_backbone_what_the_code_says(name):
    """Of one for each architecture; `python tasks/model_table.py --check` compares all."""
    assert PROGRAM["markdown"](PROGRAM["model_row"](name), []).splitlines()[0] in table("models")


def number(cell):
    return int(cell.split()[0].replace(",", ""))


def test_readme_gives_backbones_the_parameters_of_the_reference():
    rows = [[cell.strip("` ") for cell in row.split("|")[1:-1]] for row in table("models").splitlines()[2:]]
    given = {
        (name, int(reads.split()[0].replace(",", ""))): int(count.replace(",", ""))
        for name, _, reads, count, *_ in rows
    }
    of_one_size = given.keys() & COUNTS.keys()  # the table has one size of each, the reference counts sometimes another
    assert len(of_one_size) > 100
    assert {key: given[key] for key in of_one_size} == {key: COUNTS[key] for key in of_one_size}


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
