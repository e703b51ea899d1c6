"""The one command that trains a vocabulary."""

import runpy
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).parents[2] / "tasks" / "vocabulary.py")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [PROGRAM, *map(str, arguments)])
    try:
        runpy.run_path(PROGRAM, run_name="__main__")
    except SystemExit as error:
        return error.code
    return 0


def test_it_writes_the_vocabulary(monkeypatch, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the cat\n")
    (tmp_path / "b=1.txt").write_text("犬\n")
    assert run(monkeypatch, tmp_path / "a.model", tmp_path / "a.txt", tmp_path / "b=1.txt", "vocab_size=300") == 0
    assert (tmp_path / "a.model").stat().st_size > 1000
    assert "犬" in (tmp_path / "a.model").read_bytes().decode("utf-8", "ignore")
    assert "pieces; use it with vocabulary=" in capsys.readouterr().out


def test_it_keeps_another_vocabulary(monkeypatch, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the cat\n")
    (tmp_path / "a.model").write_bytes(b"of another run")
    assert run(monkeypatch, tmp_path / "a.model", tmp_path / "a.txt", "vocab_size=300") == 2
    assert "must not hold another one already" in capsys.readouterr().err
    assert (tmp_path / "a.model").read_bytes() == b"of another run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.model"], "text files or folders must be named"),
        (["a.model", "nowhere.txt"], "must exist; given: nowhere.txt"),
        (["a.model", ".", "vocab_size=many"], "vocab_size must be a number; given: 'many'"),
        (["a.txt", "."], "must end in .model"),
        (["a.model", ".", "vocab_sise=300"], "has no key 'vocab_sise'; nearest: vocab_size"),
        (["a.model", ".", "seed=1"], "has no key 'seed'; nearest: vocab_size, character_coverage"),
    ],
)
def test_wrong_input_ends_with_one_line(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
