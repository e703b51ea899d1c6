"""A run that is killed, and started again with the same command, ends as if nothing had happened."""

import random
import signal
import time

import pytest

from tests.tasks.programs import assert_same_end, final_state, newest_step, start, tables, wait_for_steps
from tests.training.test_equality import two_worker_configs

RECIPE = """
from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    backbone="resnet18",
    backbone_arguments={"stage_widths": (8, 12, 16, 20), "stem_dim": 8, "block": "basic", "stage_depths": (1, 1, 1, 1)},
    image_size=16, data="digits", batch_size=24, epochs=3, steps=150, learning_rate=1e-3,
    optimizer="adamw", weight_decay=0.05, clip_norm=1.0, ema=0.9, mixup=0.2, head_dropout=0.3, padded_crop=2,
    warmup_epochs=0.5, seed=3, checkpoint_every=1, output_dir="run", export=False,
)
"""


def begin(folder, *overrides, **environment):
    """The program on this file's recipe, in a process of its own."""
    (folder / "recipe.py").write_text(RECIPE)
    log = f"log{environment.get('WORKER', '')}.txt"
    return start(folder, "image_classification", "recipe.py", *overrides, log=log, **environment)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a run that nobody disturbs; it goes on while the tests start theirs."""
    folder = tmp_path_factory.mktemp("unbroken")
    process = begin(folder)
    yield folder, process
    process.kill()


def assert_like_unbroken(folder, unbroken):
    expected_folder, process = unbroken
    assert process.wait(timeout=300) == 0, (expected_folder / "log.txt").read_text()[-3000:]
    assert_same_end(folder, expected_folder)
    assert newest_step(folder) == 150
    assert len(tables(folder / "run")) == 1 + 3
    state = final_state(folder)
    assert {name.partition("/")[0] for name in state} == {"model", "optimizer", "metrics"}
    assert any(name.endswith("seed_generator_state") for name in state)


def test_three_kills_and_a_sigterm_at_random_moments_change_no_bit(tmp_path, unbroken):
    moments = random.Random(time.time_ns())  # others in every run of this test
    for ending in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        process = begin(tmp_path)
        wait_for_steps(tmp_path, process, moments.randrange(1, 30))
        time.sleep(moments.uniform(0, 0.1))
        before = newest_step(tmp_path)
        process.send_signal(ending)
        assert process.wait(timeout=60) == (143 if ending == signal.SIGTERM else -signal.SIGKILL)
        assert newest_step(tmp_path) >= before
    process = begin(tmp_path)
    assert process.wait(timeout=120) == 0, (tmp_path / "log.txt").read_text()[-3000:]
    assert_like_unbroken(tmp_path, unbroken)
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))  # nothing half written is left
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 2


def test_two_workers_of_which_one_dies_end_with_a_sentence_and_go_on_together(tmp_path):
    arguments = ["strategy=multi_worker", "head_dropout=0.0", "mixup=0.0", "synchronized_norm=true"]

    def start_both():
        configs = enumerate(two_worker_configs())
        return [begin(tmp_path, *arguments, TF_CONFIG=config, WORKER=str(index)) for index, config in configs]

    chief, other = start_both()
    wait_for_steps(tmp_path, chief, 5)
    other.kill()
    begun = time.monotonic()
    assert chief.wait(timeout=60) == 2
    assert time.monotonic() - begun < 60
    assert "all workers must go on until the end; given: one that has ended" in (tmp_path / "log0.txt").read_text()
    step = newest_step(tmp_path)

    for process in start_both():
        assert process.wait(timeout=200) == 0, (tmp_path / "log0.txt").read_text()[-3000:]
    assert newest_step(tmp_path) == 150 > step >= 5
    assert len(tables(tmp_path / "run")) == 1 + 3
