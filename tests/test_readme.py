"""The README tells the truth: its Python runs, its commands and files exist.

Its tables are compared with the code in `tests/tasks/test_model_table.py`.
"""

import re
from pathlib import Path

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
