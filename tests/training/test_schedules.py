import keras
import numpy as np
import pytest

from mixer_tf.training.schedules import KINDS, create_schedule


def values(schedule, *steps):
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_rises_in_equal_steps_to_the_peak(kind):
    schedule = create_schedule(kind, peak=0.8, total_steps=1000, warmup_steps=4)
    np.testing.assert_array_equal(values(schedule, 0, 1, 2, 3), np.float32([0.2, 0.4, 0.6, 0.8]))


@pytest.mark.parametrize("kind", ["cosine", "linear"])
@pytest.mark.parametrize("warmup_steps", [0, 7])
def test_decay_is_exact_at_both_ends(kind, warmup_steps):
    schedule = create_schedule(kind, peak=0.3, total_steps=97, warmup_steps=warmup_steps, final=0.1)
    peak, final, middle = values(schedule, warmup_steps, 97, 500), np.float32(0.1), values(schedule, 52)
    np.testing.assert_array_equal(peak, [np.float32(0.3), final, final])
    assert final < middle[0] < 0.3


def test_cosine_and_linear_in_between():
    cosine = create_schedule("cosine", peak=1.0, total_steps=110, warmup_steps=10, final=0.2)
    linear = create_schedule("linear", peak=1.0, total_steps=110, warmup_steps=10, final=0.2)
    progress = np.array([0.01, 0.25, 0.5, 0.99])
    steps = 10 + 100 * progress
    np.testing.assert_allclose(values(cosine, *steps), 0.2 + 0.4 * (1 + np.cos(np.pi * progress)), rtol=1e-6)
    np.testing.assert_allclose(values(linear, *steps), 1.0 - 0.8 * progress, rtol=1e-6)


def test_step_falls_at_thirds_of_the_run():
    schedule = create_schedule("step", peak=0.1, total_steps=90, warmup_steps=5)
    np.testing.assert_allclose(
        values(schedule, 5, 29, 30, 59, 60, 89, 90, 500), [0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001], rtol=1e-6
    )


def test_step_falls_at_its_milestones():
    schedule = create_schedule("step", peak=0.1, total_steps=12, warmup_steps=2, milestones=(8, 11))
    np.testing.assert_allclose(values(schedule, 2, 7, 8, 10, 11, 40), [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert values(copy, 7, 8, 11) == values(schedule, 7, 8, 11)


def test_constant_stays():
    assert values(create_schedule("constant", peak=0.5, total_steps=9), 0, 8, 20) == [0.5, 0.5, 0.5]


def test_round_trip():
    final = {"cosine": 0.02, "linear": 0.02}
    for kind in KINDS:
        schedule = create_schedule(kind, peak=0.4, total_steps=31, warmup_steps=3, final=final.get(kind, 0.0))
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
        assert copy.get_config() == schedule.get_config()
        assert values(copy, 0, 2, 17, 31) == values(schedule, 0, 2, 17, 31)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "cosin"}, "cosine, linear, step, constant; given: 'cosin'"),
        ({"peak": 0.0}, "above 0; given: 0.0"),
        ({"warmup_steps": 10}, "given: 10 of 10"),
        ({"warmup_steps": -1}, "at least 0"),
        ({"final": 2.0}, "between 0 and its peak 1.0; given: 2.0"),
        ({"kind": "step", "final": 0.1}, "must be 0 for the step schedule"),
        ({"milestones": (3,)}, "milestones must be None for the cosine schedule"),
        ({"kind": "step", "milestones": (7, 4)}, "must rise, from above 0; given: 7, 4"),
        ({"kind": "step", "milestones": (0, 4)}, "must rise, from above 0; given: 0, 4"),
    ],
)
def test_wrong_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        create_schedule(**{"kind": "cosine", "peak": 1.0, "total_steps": 10, **wrong})
