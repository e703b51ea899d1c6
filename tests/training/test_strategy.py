"""Strategies by name: what is chosen, what is refused, and what a batch must divide by."""

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest
import tensorflow as tf

from mixer_tf.training.strategy import (
    any_worker,
    create_strategy,
    is_chief,
    is_multi_worker,
    numbers_of_chief,
    require_divisible,
    synchronize_batch_norm,
    wait_for_workers,
)

TWO_WORKERS = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("TF_CONFIG", "TPU_NAME", "SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def chosen(monkeypatch):
    """What `auto` would create, without creating it."""
    created = []
    for name in ("_mirrored", "_multi_worker", "_tpu"):
        function = lambda *arguments, name=name: created.append(name) or tf.distribute.get_strategy()  # noqa: E731
        monkeypatch.setattr(f"mixer_tf.training.strategy.{name}", function)
    return created


def test_none_is_tensorflows_default():
    assert create_strategy("none") is tf.distribute.get_strategy()


def test_auto_takes_one_device_where_there_is_nothing_else_and_says_why(caplog):
    with caplog.at_level(logging.INFO, logger="mixer_tf"):
        assert create_strategy("auto") is tf.distribute.get_strategy()
    assert caplog.messages == ["strategy none: 1 replica(s), because this machine has no GPU"]


@pytest.mark.parametrize(
    ("environment", "expected", "reason"),
    [
        ({"TF_CONFIG": TWO_WORKERS}, "_multi_worker", "TF_CONFIG names several workers"),
        ({"SLURM_NTASKS": "3"}, "_multi_worker", "Slurm runs 3 tasks"),
        ({"TPU_NAME": "v4", "SLURM_NTASKS": "3"}, "_tpu", "a TPU is named"),
    ],
)
def test_auto_reads_the_environment(environment, expected, reason, monkeypatch, chosen, caplog):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.INFO, logger="mixer_tf"):
        create_strategy("auto")
    assert chosen == [expected]
    assert caplog.messages[-1].endswith(f"because {reason}")


def test_auto_takes_all_gpus_where_there_are_several(monkeypatch, chosen):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"] * 4 if kind == "GPU" else [])
    create_strategy("auto")
    assert chosen == ["_mirrored"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("parameter_server", "its workers do not wait for each other, which Keras 3 cannot do"),
        ("ParameterServerStrategy", "its workers do not wait for each other"),
        ("central_storage", "it is mirrored, but slower"),
        ("horovod", "given: 'horovod'$"),
    ],
)
def test_other_strategies_are_refused_with_the_reason(name, reason):
    with pytest.raises(ValueError, match=f"strategy must be one of auto, none, mirrored, .*{reason}"):
        create_strategy(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "none", "replicas": 2}, "replicas is for strategy=mirrored; given: strategy=none"),
        ({"name": "mirrored", "replicas": 0}, "replicas must be at least 1; given: 0"),
        ({"name": "mirrored", "tpu": "local"}, "tpu is for strategy=tpu; given: strategy=mirrored"),
        (
            {"name": "multi_worker"},
            "strategy=multi_worker needs TF_CONFIG, as in .*, or a job step of Slurm; given: n",
        ),
        ({"name": "tpu"}, "strategy=tpu needs a TPU that can be reached, named by tpu= or TPU_NAME; given: None"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        create_strategy(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_wrong_tf_config_is_refused_before_tensorflow_waits_for_a_worker_that_never_comes(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    for name in ("multi_worker", "auto"):
        with pytest.raises(ValueError, match="TF_CONFIG must name the workers and which one this is, as in"):
            create_strategy(name)


def test_a_batch_must_divide_by_replicas_and_micro_batches(strategy):
    require_divisible(12, strategy, accumulate_steps=3)
    message = "batch_size must divide by 2 replicas x 3 micro-batches; given: 16; nearest: 18"
    with pytest.raises(ValueError, match=message):
        require_divisible(16, strategy, accumulate_steps=3)
    with pytest.raises(ValueError, match="given: 1; nearest: 2"):
        require_divisible(1, strategy)


def test_a_single_process_is_the_chief_and_asks_nobody(strategy):
    assert is_chief(strategy)
    assert not is_multi_worker(strategy)
    assert any_worker(strategy, True, False) == (True, False)
    assert numbers_of_chief(strategy, [0.1, 7.0]) == [0.1, 7.0]


def test_every_batch_norm_is_synchronised_and_counted():
    x = keras.Input((4, 4, 3))
    y = keras.layers.BatchNormalization()(keras.layers.Dense(2)(keras.layers.BatchNormalization()(x)))
    model = keras.Model(x, y)
    assert synchronize_batch_norm(model) == 2
    assert all(layer.synchronized for layer in model.layers if "batch" in layer.name)


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def test_workers_wait_for_each_other_whoever_comes_first():
    addresses = [f"localhost:{port}" for port in free_ports(3)]
    all_there = threading.Barrier(3, timeout=20)

    def worker(address, delay):
        time.sleep(delay)
        wait_for_workers(addresses, address, patience=20)
        with socket.create_server(("", int(address.partition(":")[2]))):  # as TensorFlow listens from then on
            all_there.wait()

    with ThreadPoolExecutor() as pool:
        for result in [
            pool.submit(worker, address, delay) for address, delay in zip(addresses, (0, 0.5, 1), strict=True)
        ]:
            result.result(timeout=30)


def test_worker_that_never_comes_is_named(caplog):
    own, other = (f"localhost:{port}" for port in free_ports(2))
    message = f"all workers must start within 1 s; given: none at {other}; start them with the same command"
    with caplog.at_level(logging.INFO, logger="mixer_tf"), pytest.raises(ValueError, match=message):
        wait_for_workers([own, other], own, patience=1)
    assert caplog.messages == [f"waiting for the workers at {other}"]


def test_port_of_a_worker_that_another_process_has_is_refused():
    with socket.create_server(("", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"the port of {address} must be free for this worker"):
            wait_for_workers([address], address)
