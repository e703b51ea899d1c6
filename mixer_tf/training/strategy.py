"""Which devices a run trains on: one `tf.distribute` strategy, chosen by name.

    strategy = create_strategy("auto")
    with strategy.scope():
        model = ...

A batch is always the global one, which all replicas together take for one update.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import socket
import time
from collections.abc import Sequence

import keras
import tensorflow as tf

from mixer_tf.checks import require

logger = logging.getLogger(__name__)

STRATEGIES = ("auto", "none", "mirrored", "multi_worker", "tpu")
REFUSED = {
    "parameterserver": "its workers do not wait for each other, which Keras 3 cannot do",
    "centralstorage": "it is mirrored, but slower",
    "onedevice": "it is none",
}
TF_CONFIG = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


def create_strategy(name: str, *, replicas: int | None = None, tpu: str | None = None) -> tf.distribute.Strategy:
    """Create the strategy of a run: once in a process, before anything else asks TensorFlow for its devices.

    Args:
        name: `"none"`: one device;
            `"mirrored"`: all GPUs of this machine, or, where there are none, logical CPUs to try a run out with;
            `"multi_worker"`: several processes, each with all GPUs of its machine, from TF_CONFIG or under Slurm;
            `"tpu"`: all cores of a TPU;
            `"auto"`: the first of TPU, several workers, several GPUs and one device that the machine has.
        replicas: number of replicas of `"mirrored"`; None for all GPUs, or for two logical CPUs.
        tpu: name or address of the TPU, `"local"` on a TPU virtual machine; None asks the environment.

    Returns:
        The strategy; TensorFlow's default one for `"none"`. The log says what it is, and why where `"auto"` chose it.

    Raises:
        ValueError: if the name is unknown or refused, or the machine does not have what it names.

    Example:
        >>> create_strategy("none").num_replicas_in_sync
        1
    """
    if name not in STRATEGIES:
        letters = name.lower().replace("_", "").replace("-", "").removesuffix("strategy")
        reason = f", as {REFUSED[letters]}" if letters in REFUSED else ""
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}; given: {name!r}{reason}")
    require(replicas is None or name == "mirrored", f"replicas is for strategy=mirrored; given: strategy={name}")
    require(replicas is None or replicas >= 1, f"replicas must be at least 1; given: {replicas}")
    require(tpu is None or name in ("tpu", "auto"), f"tpu is for strategy=tpu; given: strategy={name}")
    reason = ""
    if name == "auto":
        name, reason = _automatic(tpu)
        reason = f", because {reason}"
    if name == "none":
        strategy = tf.distribute.get_strategy()
    elif name == "mirrored":
        strategy = _mirrored(replicas)
    else:
        strategy = _multi_worker() if name == "multi_worker" else _tpu(tpu)
    logger.info("strategy %s: %d replica(s)%s", name, strategy.num_replicas_in_sync, reason)
    return strategy


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether several processes train together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run: of several workers the first does."""
    resolver = strategy.cluster_resolver
    if not is_multi_worker(strategy) or resolver.task_type == "chief":
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def any_worker(strategy: tf.distribute.Strategy, *flags: bool) -> tuple[bool, ...]:
    """Whether each flag is set in any of the workers; all of them must ask at the same step."""
    if not is_multi_worker(strategy):
        return flags

    return tuple(bool(number) for number in _sum_over_workers(strategy)(tf.constant(flags, tf.float32)).numpy())


def numbers_of_chief(strategy: tf.distribute.Strategy, numbers: Sequence[float]) -> list[float]:
    """The chief's numbers, in float32, on every worker; all of them must ask at the same step, with as many numbers."""
    if not is_multi_worker(strategy):
        return list(numbers)
    own = [*numbers, 1.0] if is_chief(strategy) else [0.0] * (len(numbers) + 1)
    *sums, replicas = _sum_over_workers(strategy)(tf.constant(own, tf.float32)).numpy().tolist()
    return [total / replicas for total in sums]  # each of the chief's replicas has added them


@functools.lru_cache(maxsize=1)
def _sum_over_workers(strategy: tf.distribute.Strategy):
    def all_reduced(numbers):
        here = tf.identity(numbers)  # on the replica's device, which an argument is not
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    @tf.function
    def summed(numbers):
        return strategy.experimental_local_results(strategy.run(all_reduced, args=(numbers,)))[0]

    return summed


def require_same_step(strategy: tf.distribute.Strategy, step: int) -> None:
    """Refuse workers that did not find the same checkpoint."""
    if is_multi_worker(strategy):
        total, workers = _sum_over_workers(strategy)(tf.constant([step, 1], tf.float32)).numpy()
        require(
            total == step * workers,
            f"output_dir must be one folder that all workers see; given: step {step} in this worker's, not in all",
        )


def require_divisible(batch_size: int, strategy: tf.distribute.Strategy, accumulate_steps: int = 1) -> None:
    """Refuse a global batch that cannot be shared equally by replicas and micro-batches; the nearest is named."""
    parts = strategy.num_replicas_in_sync * accumulate_steps
    nearest = max(round(batch_size / parts), 1) * parts
    require(
        batch_size % parts == 0,
        f"batch_size must divide by {strategy.num_replicas_in_sync} replicas x {accumulate_steps} micro-batches; "
        f"given: {batch_size}; nearest: {nearest}",
    )


def synchronize_batch_norm(model: keras.Model) -> int:
    """Let every BatchNormalization take its mean and variance over the global batch; returns how many there are."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.synchronized = True
    return len(norms)


def _automatic(tpu: str | None) -> tuple[str, str]:
    """The name of what this machine has, and why."""
    if tpu or os.environ.get("TPU_NAME"):
        return "tpu", "a TPU is named"
    if "TF_CONFIG" in os.environ and len(_tf_config()["cluster"].get("worker", [])) > 1:
        return "multi_worker", "TF_CONFIG names several workers"
    if int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        return "multi_worker", f"Slurm runs {os.environ['SLURM_NTASKS']} tasks"
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1:
        return "mirrored", f"this machine has {gpus} GPUs"
    return "none", f"this machine has {'one GPU' if gpus else 'no GPU'}"


def _mirrored(replicas: int | None) -> tf.distribute.Strategy:
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        require((replicas or 1) <= gpus, f"replicas must be at most the machine's {gpus} GPUs; given: {replicas}")
        return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(replicas or gpus)])
    replicas = replicas or 2
    logger.info("this machine has no GPU: %d logical CPUs try the run out, no faster than one", replicas)
    [cpu] = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    except RuntimeError as error:
        there = len(tf.config.list_logical_devices("CPU"))
        require(
            there >= replicas,
            f"logical CPUs must be made before TensorFlow is first used; given: {there} of {replicas} in a process "
            "that has used it; start a new one",
        )
        logger.debug("%s", error)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def _multi_worker() -> tf.distribute.Strategy:
    if "TF_CONFIG" in os.environ:
        _tf_config()
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    else:
        require(
            "SLURM_PROCID" in os.environ,
            f"strategy=multi_worker needs TF_CONFIG, as in {TF_CONFIG}, or a job step of Slurm; given: neither",
        )
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver()
    cluster = resolver.cluster_spec().as_dict()
    wait_for_workers([*cluster.get("chief", []), *cluster["worker"]], cluster[resolver.task_type][resolver.task_id])
    communication = tf.distribute.experimental.CommunicationImplementation
    gpus = tf.config.list_physical_devices("GPU")
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=communication.AUTO if gpus else communication.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver, communication_options=options)


def wait_for_workers(addresses: list[str], own: str, patience: float = 600.0) -> None:
    """Wait until a process listens at the address of every worker, as this one does meanwhile at its own.

    TensorFlow waits for them too, but an hour long, without a word and deaf to Ctrl-C.

    Args:
        addresses: `host:port` of all workers.
        own: that of this process.
        patience: seconds to wait.

    Raises:
        ValueError: when a worker is missing at the end, or this one's port is taken.
    """
    missing, end, port = [address for address in addresses if address != own], time.monotonic() + patience, _port(own)
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise ValueError(f"the port of {own} must be free for this worker; given: {error.strerror}") from error
    with listener:
        while missing:
            logger.info("waiting for the workers at %s", ", ".join(missing))
            for _ in range(50):
                missing = [address for address in missing if not _listens(address)]
                if not missing:
                    return
                time.sleep(0.2)
                require(
                    time.monotonic() < end,
                    f"all workers must start within {patience:.0f} s; given: none at {', '.join(missing)}; start them "
                    "with the same command",
                )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address.rpartition(":")[0], _port(address)), timeout=2).close()
    except OSError:
        return False
    return True


def _tf_config() -> dict:
    """The environment's TF_CONFIG, checked: a typing error must not invent a worker that never comes."""
    text = os.environ["TF_CONFIG"]
    try:
        config = json.loads(text)
        workers, task = config["cluster"], config["task"]
        addresses = [address for job in workers.values() for address in job]
        valid = 0 <= task["index"] < len(workers[task["type"]]) and task["type"] in ("chief", "worker")
        valid = valid and len(set(addresses)) == len(addresses) and all(_port(address) for address in addresses)
    except (ValueError, KeyError, TypeError, AttributeError):
        valid = False
    require(valid, f"TF_CONFIG must name the workers and which one this is, as in {TF_CONFIG}; given: {text}")
    return config


def _tpu(name: str | None) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or os.environ.get("TPU_NAME", ""))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"strategy=tpu needs a TPU that can be reached, named by tpu= or TPU_NAME; given: {name}; {reason}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)
