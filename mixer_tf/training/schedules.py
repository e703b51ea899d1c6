"""The learning rate as a function of the step: a linear warm-up, then cosine, linear, step-wise or no decay."""

from __future__ import annotations

import math

import keras
from keras import ops


def create_schedule(
    kind: str, *, peak: float, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> WarmupSchedule:
    """Create a learning rate schedule for a run of `total_steps` updates.

    Args:
        kind: the decay after the warm-up:
            `"cosine"`: half a cosine from `peak` to `final` (Loshchilov & Hutter 2017, arXiv 1608.03983);
            `"linear"`: a straight line from `peak` to `final`;
            `"step"`: `peak`, times 0.1 from 1/3 and again times 0.1 from 2/3 of the run (epochs 30 and 60 of 90, He et
            al. 2015, arXiv 1512.03385);
            `"constant"`: `peak`.
        peak: the highest learning rate, above 0.
        total_steps: the number of updates of the run, warm-up included.
        warmup_steps: the number of updates with a rising learning rate, below `total_steps`. Update i of them (from 0)
            uses `peak * (i + 1) / warmup_steps`: no update is wasted on a learning rate of 0.
        final: the value that cosine and linear reach at step `total_steps`, just after the last update.

    Returns:
        A schedule that Keras's optimizers take as their learning rate, and that a `.keras` file keeps.

    Raises:
        ValueError: if a value lies outside its range.

    Example:
        >>> schedule = create_schedule("cosine", peak=0.5, total_steps=100, warmup_steps=4)
        >>> [float(schedule(step)) for step in (0, 3, 100)]
        [0.125, 0.5, 0.0]
    """
    return WarmupSchedule(kind, peak, total_steps, warmup_steps, final)


@keras.saving.register_keras_serializable(package="mixer_tf")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up and one of four decays; the arguments are those of `create_schedule`."""

    def __init__(self, kind: str, peak: float, total_steps: int, warmup_steps: int = 0, final: float = 0.0):
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
        self.kind, self.peak, self.final = kind, peak, final
        self.total_steps, self.warmup_steps = total_steps, warmup_steps

    def __call__(self, step):
        """Return the learning rate of an update: `[] int -> [] float32`."""
        step = ops.cast(step, "float32")
        share = KINDS[self.kind](step, self.warmup_steps, self.total_steps)
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
        }


def _cosine(step, warmup_steps, total_steps):
    return (1.0 + ops.cos(math.pi * _progress(step, warmup_steps, total_steps))) / 2.0


def _linear(step, warmup_steps, total_steps):
    return 1.0 - _progress(step, warmup_steps, total_steps)


def _step(step, warmup_steps, total_steps):
    thirds = ops.minimum(ops.floor(3.0 * step / total_steps), 2.0)  # of the whole run, as the paper counts its epochs
    return ops.power(0.1, thirds)


def _constant(step, warmup_steps, total_steps):
    return ops.ones_like(step)


def _progress(step, warmup_steps, total_steps):
    """0 at the end of the warm-up, 1 at the end of the run and after it."""
    return ops.clip((step - warmup_steps) / (total_steps - warmup_steps), 0.0, 1.0)


KINDS = {"cosine": _cosine, "linear": _linear, "step": _step, "constant": _constant}
