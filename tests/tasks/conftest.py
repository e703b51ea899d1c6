"""What the tests of all programs share."""

import sys

import pytest
import tensorflow as tf

from tests.tasks import programs


@pytest.fixture(autouse=True)
def one_strategy(strategy, monkeypatch):
    """The one of all tests, for whoever asks for a new one."""
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: strategy)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder that the programs of a test work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    programs.prepare(monkeypatch)
    return tmp_path
