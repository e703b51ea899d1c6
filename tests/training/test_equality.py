"""However a batch is shared between replicas, processes and micro-batches, training is the same.

One replica is the truth. BatchNormalization from micro-batches is left out: it sees one of them at a time.
"""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.training.runs import RUNS, largest_differences, result_of

TOLERANCE = 1e-6
WITHOUT_NORM = [name for name, run in RUNS.items() if not run.norm]


@pytest.fixture(scope="module")
def expected():
    """Every run on one replica."""
    return {name: result_of(tf.distribute.get_strategy(), run) for name, run in RUNS.items()}


@pytest.fixture(scope="module")
def worker_results(tmp_path_factory):
    """Every run in two processes that train together; what each of them has in the end."""
    folder = tmp_path_factory.mktemp("workers")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.runs", folder / f"{index}.npz"],
            env={**os.environ, "TF_CONFIG": config},
            stdout=subprocess.DEVNULL,
            stderr=(folder / f"{index}.log").open("w"),
        )
        for index, config in enumerate(two_worker_configs())
    ]
    for index, process in enumerate(processes):
        assert process.wait(timeout=300) == 0, (folder / f"{index}.log").read_text()[-3000:]
    return [np.load(folder / f"{index}.npz") for index in range(2)]


def two_worker_configs():
    """TF_CONFIG of two workers on free ports of this machine."""
    sockets = [socket.socket() for _ in range(2)]
    for free in sockets:
        free.bind(("localhost", 0))
    hosts = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}) for index in range(2)
    ]


def assert_equal(result, expected):
    differences = largest_differences(result, expected)
    assert max(differences.values()) <= TOLERANCE, differences


@pytest.mark.parametrize("name", RUNS)
def test_two_replicas(name, strategy, expected):
    assert_equal(result_of(strategy, RUNS[name]), expected[name])


@pytest.mark.parametrize("name", WITHOUT_NORM)
@pytest.mark.parametrize("replicas", [1, 2])
def test_two_micro_batches(name, replicas, strategy, expected):
    chosen = strategy if replicas == 2 else tf.distribute.get_strategy()
    assert_equal(result_of(chosen, RUNS[name], accumulate_steps=2), expected[name])


def test_keras_cannot_fit_with_several_workers(worker_results):
    """When this fails, Keras has mended it, and `_maybe_symbolic_build` in `mixer_tf/keras_fixes.py` can go."""
    assert all("Attempt to convert a value (PerReplica" in str(file["stock_error"]) for file in worker_results)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("worker", [0, 1])
def test_two_processes(name, worker, worker_results, expected):
    file = worker_results[worker]
    result = {key.removeprefix(f"{name}/"): file[key] for key in file.files if key.startswith(f"{name}/")}
    assert_equal(result, expected[name])
