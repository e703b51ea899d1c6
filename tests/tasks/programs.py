"""The programs of `tasks/`, run in this process or, to be killed, in one of their own."""

import contextlib
import csv
import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TASKS = Path(__file__).parents[2] / "tasks"
TIMES = {"train_seconds", "train_examples_per_second"}


def run(task, recipe, *arguments):
    """Run `python tasks/<task>.py <recipe> ...` in this process; its exit code. The caller restores `sys.argv`."""
    program = str(TASKS / f"{task}.py")
    sys.argv = [program, str(recipe), *arguments]
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return 0


@contextlib.contextmanager
def working_in(folder):
    """Run the body in that folder, for fixtures of a module: what it prints goes to `printed.txt`; few Markov texts."""
    with pytest.MonkeyPatch.context() as patch, (folder / "printed.txt").open("w") as printed:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        patch.setattr(sys, "stdout", printed)
        prepare(patch)
        yield


def prepare(patch):
    """A smaller Markov source, and no handling of signals, which pytest has."""
    patch.setattr("mixer_tf.training.fit.signal.signal", lambda *arguments: None)
    patch.setattr("mixer_tf.data.markov.TRAIN_SIZE", 128)
    patch.setattr("mixer_tf.data.markov.EVALUATION_SIZE", 48)


def shipped(recipe):
    """The path of one of the recipes that come with the programs."""
    return TASKS / "recipes" / f"{recipe}.py"


def metrics(folder):
    """The figures of a finished run."""
    return json.loads((Path(folder) / "metrics.json").read_text())


def start(folder, task, recipe, *overrides, log="log.txt", **environment):
    """The program in a process of its own that works in `folder`, with its output in a file there."""
    command = [sys.executable, TASKS / f"{task}.py", str(recipe), *overrides]
    environment = {**os.environ, "PYTHONPATH": str(TASKS.parent), **environment}
    output = (folder / log).open("a")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)


def newest_step(folder):
    """The number of updates in the newest checkpoint of `folder/run`."""
    names = [path.name for path in (folder / "run" / "checkpoints").glob("step-*")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def wait_for_steps(folder, process, steps):
    """Wait until so many more steps are on the disk."""
    goal, deadline = newest_step(folder) + steps, time.monotonic() + 120
    while newest_step(folder) < goal:
        assert process.poll() is None, next(folder.glob("log*.txt")).read_text()[-3000:]
        assert time.monotonic() < deadline, f"no step {goal} after two minutes"
        time.sleep(0.01)


def tables(output):
    """The figures of a run at its end and of each of its epochs, but for times."""
    with (Path(output) / "history.csv").open() as file:
        rows = [metrics(output), *csv.DictReader(file)]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def final_state(folder):
    """Every number of the last checkpoint of `folder/run`."""
    with np.load(folder / "run" / "checkpoints" / f"step-{newest_step(folder):08d}" / "state.npz") as file:
        return {name: file[name] for name in file.files}


def assert_same_end(folder, expected_folder):
    """The two runs have the same bits in weights, optimizer, history and figures."""
    assert tables(folder / "run") == tables(expected_folder / "run")
    state, expected = final_state(folder), final_state(expected_folder)
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(state[name], values, err_msg=name)


def assert_as_one_replica(one, two):
    """The figures of both runs, at the end and of each epoch, differ by rounding alone."""
    for expected, found in zip(tables(one), tables(two), strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-5, abs=1e-5), name
