"""The README's tables are those that the code gives."""

import re
import runpy
import sys
from pathlib import Path

import pytest

import mixer_tf as mt

ROOT = Path(__file__).parents[2]
PROGRAM = runpy.run_path(str(ROOT / "tasks" / "model_table.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_says_what_the_code_says(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model_table.py", "--check"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "tasks" / "model_table.py"), run_name="__main__")
    assert stop.value.code == 0, capsys.readouterr().out


def test_every_backbone_has_a_row():
    assert re.findall(r"^\| `(\w+)` \| \[", README, flags=re.MULTILINE) == mt.list_backbones()


def test_published_figures_belong_to_backbones_that_exist():
    names = [line.partition(",")[0] for line in (ROOT / "tasks" / "published.csv").read_text().splitlines()[1:]]
    assert set(names) <= set(mt.list_backbones())
    assert len(set(names)) == len(names)


def test_every_recipe_says_what_was_measured_or_that_nothing_was():
    for path in (ROOT / "tasks" / "recipes").glob("*.py"):
        docstring = path.read_text(encoding="utf-8").split('"""')[1]
        assert PROGRAM["MEASURED"].search(docstring) or "not run here" in docstring.lower(), path.stem


def test_a_table_stands_between_its_marks():
    text = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkept\n<!-- end -->\n"
    assert PROGRAM["with_table"](text, "x", "new") == text.replace("old", "new")
