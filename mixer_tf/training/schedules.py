"""The learning rate as a function of the step: a linear warm-up, then cosine, linear, step-wise or no decay."""

from __future__ import annotations

import itertools
import math

import keras
from keras import ops


def create_schedule(
    kind: str,
    *,
    peak: float,
    total_steps: int,
    warmup_steps: int = 0,
    final: float = 0.0,
    milestones: tuple[float, ...] | None = None,
) -> WarmupSchedule:
    """Create a learning rate schedule for a run of `total_steps` updates.

    Args:
        kind: the decay after the warm-up:
            `"cosine"`: half a cosine from `peak` to `final` (Loshchilov & Hutter 2017, arXiv 1608.03983);
            `"linear"`: a straight line from `peak` to `final`;
            `"step"`: `peak`, times 0.1 from each milestone on;
            `"constant"`: `peak`.
        peak: the highest learning rate, above 0.
        total_steps: the number of updates of the run, warm-up included.
        warmup_steps: the number of updates with a rising learning rate, below `total_steps`. Update i of them (from 0)
            uses `peak * (i + 1) / warmup_steps`: no update is wasted on a learning rate of 0.
        final: the value that cosine and linear reach at step `total_steps`, just after the last update.
        milestones: of `"step"`, rising numbers of updates; those behind the end of the run are never reached. None for
            1/3 and 2/3 of the run (epochs 30 and 60 of 90, He et al. 2015, arXiv 1512.03385).

    Returns:
        A schedule that Keras's optimizers take as their learning rate, and that a `.keras` file keeps.

    Raises:
        ValueError: if a value lies outside its range.

    Example:
        >>> schedule = create_schedule("cosine", peak=0.5, total_steps=100, warmup_steps=4)
        >>> [float(schedule(step)) for step in (0, 3, 100)]
        [0.125, 0.5, 0.0]
    """
    return WarmupSchedule(kind, peak, total_steps, warmup_steps, final, milestones)


@keras.saving.register_keras_serializable(package="mixer_tf")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up and one of four decays; the arguments are those of `create_schedule`."""

    def __init__(
        self,
        kind: str,
        peak: float,
        total_steps: int,
        warmup_steps: int = 0,
        final: float = 0.0,
        milestones: tuple[float, ...] | None = None,
    ):
        if kind not in KINDS:
            raise ValueError(f"the schedule must be one of {', '.join(KINDS)}; given: {kind!r}")
        if not peak > 0:
            raise ValueError(f"the schedule's peak must be above 0; given: {peak}")
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"warmup_steps must be at least 0 and below total_steps; given: {warmup_steps} of {total_steps}: "
                "shorten the warm-up or train longer"
            )
        if not 0 <= final <= peak:
            raise ValueError(f"the schedule's final value must lie between 0 and its peak {peak}; given: {final}")
        if final and kind in ("step", "constant"):
            raise ValueError(f"final must be 0 for the {kind} schedule, whose end is fixed by its peak; given: {final}")
        if milestones is not None and kind != "step":
            raise ValueError(f"milestones must be None for the {kind} schedule; given: {milestones}")
        if milestones is not None and not all(a < b for a, b in itertools.pairwise((0, *milestones))):
            raise ValueError(f"milestones must rise, from above 0; given: {', '.join(map(str, milestones))}")
        self.kind, self.peak, self.final = kind, peak, final
        self.milestones = None if milestones is None else tuple(milestones)
        self.total_steps, self.warmup_steps = total_steps, warmup_steps

    def __call__(self, step):
        """Return the learning rate of an update: `[] int -> [] float32`."""
        step = ops.cast(step, "float32")
        share = KINDS[self.kind](step, self)
        decayed = share * self.peak + (1.0 - share) * self.final  # exact at both ends, unlike final + share * (...)
        warming = (step + 1.0) / max(self.warmup_steps, 1) * self.peak
        return ops.where(step < self.warmup_steps, warming, decayed)

    def get_config(self):
        """Return the arguments."""
        return {
            "kind": self.kind,
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "final": self.final,
            "milestones": self.milestones,
        }


def _cosine(step, schedule):
    return (1.0 + ops.cos(math.pi * _progress(step, schedule))) / 2.0


def _linear(step, schedule):
    return 1.0 - _progress(step, schedule)


def _step(step, schedule):
    thirds = schedule.total_steps / 3, schedule.total_steps * 2 / 3  # of the whole run, as the paper counts its epochs
    passed = sum(ops.cast(step >= milestone, "float32") for milestone in schedule.milestones or thirds)
    return ops.power(0.1, passed)


def _constant(step, schedule):
    return ops.ones_like(step)


def _progress(step, schedule):
    """0 at the end of the warm-up, 1 at the end of the run and after it."""
    return ops.clip((step - schedule.warmup_steps) / (schedule.total_steps - schedule.warmup_steps), 0.0, 1.0)


KINDS = {"cosine": _cosine, "linear": _linear, "step": _step, "constant": _constant}
