"""Measure how fast backbones with a 1,000-class head run on this machine, in images per second.

    python tasks/benchmark.py mlp_mixer_s16 vit_s16 resnet50
    python tasks/benchmark.py --image-size 192 --runs 9 --json runs/benchmark.json "mlp_mixer_*"

Inference with batches of 1 and 16, training (forward, backward, AdamW) with batches of 8, in float32 and in
mixed_bfloat16. Every figure is the median of repeated runs after a warm-up, with the slowest run (minimum) behind it.
"""

import argparse
import functools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mixer_tf as mt

MEASUREMENTS = (("inference", 1), ("inference", 16), ("training", 8))
PRECISIONS = ("float32", "mixed_bfloat16")


def main(arguments: argparse.Namespace) -> None:
    """Measure, print the table and write the JSON file."""
    names = [name for pattern in arguments.backbones for name in mt.list_backbones(pattern, reads="image") or [pattern]]
    if unknown := set(names) - set(mt.list_backbones(reads="image")):
        raise ValueError(
            f"backbones must be names or patterns of backbones that read pictures; given: {', '.join(unknown)}"
        )
    image_shape = (arguments.image_size, arguments.image_size, 3) if arguments.image_size else None
    path = Path(arguments.json)
    path.parent.mkdir(parents=True, exist_ok=True)  # what cannot be written shows before anything is measured
    results = []
    machine = machine_name()
    print(f"{machine}; Keras {keras.__version__}, TensorFlow {tf.__version__}; {arguments.runs} runs")
    print(
        f"\n{'images/s: median (minimum)':<28}" + "".join(f"{kind} {batch}".rjust(20) for kind, batch in MEASUREMENTS)
    )
    for name in names:
        for precision in PRECISIONS:
            row = measure(name, image_shape, precision, arguments.runs)
            results.append({"backbone": name, "precision": precision, **row})
            cells = "".join(f"{cell['median']:.1f} ({cell['minimum']:.1f})".rjust(20) for cell in row.values())
            print(f"{name} {precision.removeprefix('mixed_')}".ljust(28) + cells, flush=True)
    content = {"machine": machine, "image_shape": image_shape, "runs": arguments.runs, "images_per_second": results}
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nwritten to {path}")


def measure(
    name: str, image_shape: tuple[int, int, int] | None, precision: str, runs: int
) -> dict[str, dict[str, float]]:
    """Images per second of one backbone in one precision, by what it does."""
    keras.backend.clear_session()
    keras.config.set_dtype_policy(precision)
    model = mt.classifier(mt.create_backbone(name, image_shape), num_classes=1000)
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    infer = tf.function(lambda images: model(images, training=False))
    calls = {
        "inference": lambda images, labels: infer(images).numpy(),
        "training": lambda images, labels: model.train_on_batch(images, labels),
    }
    generator = np.random.default_rng(0)
    figures = {}
    for kind, batch in MEASUREMENTS:
        images = tf.constant(generator.normal(size=(batch, *model.input_shape[1:])), tf.float32)
        labels = tf.constant(generator.integers(1000, size=batch))
        seconds = timed(functools.partial(calls[kind], images, labels), runs)
        figures[f"{kind}_{batch}"] = {"median": batch / statistics.median(seconds), "minimum": batch / max(seconds)}
    return figures


def timed(call: Callable[[], object], runs: int, warm_up: int = 2) -> list[float]:
    """Seconds of each run, after a few that trace the graph and fill the caches."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def machine_name() -> str:
    """The processor, its cores and any accelerators."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    accelerators = [device.name for device in tf.config.list_physical_devices() if device.device_type != "CPU"]
    processor = models[0] if models else platform.processor() or platform.machine()
    return ", ".join([processor, f"{os.cpu_count()} cores", *accelerators])


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0; given: {text!r}")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = ["resnet50", "vit_s16", "mlp_mixer_s16"]
    parser.add_argument(
        "backbones", nargs="*", default=usual, help=f"names or patterns; without any: {' '.join(usual)}"
    )
    parser.add_argument("--image-size", type=positive, help="side in pixels; without: each one's own")
    parser.add_argument("--runs", type=positive, default=9, help="repetitions of every figure")
    parser.add_argument("--json", default="runs/benchmark.json", help="where the figures go")
    try:
        main(parser.parse_args())
    except (ValueError, OSError) as error:
        parser.error(str(error))
