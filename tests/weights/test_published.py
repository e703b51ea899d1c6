"""Every published preset: exact size, and names and shapes of all its arrays, from lists of the references' own.

`files/state_dicts.json.gz` holds, for each preset, the number of its parameters and the shape of every array of its
`state_dict()`, as timm, transformers and the authors' repositories build them.
"""

import gzip
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from mixer_tf.analysis.size import count_parameters
from mixer_tf.weights import load_weights, save_weights
from mixer_tf.weights.files import read_checkpoint
from mixer_tf.weights.layouts import layout_named
from tests.weights.presets import PRESETS, build

PUBLISHED = json.loads(gzip.decompress((Path(__file__).parent / "files" / "state_dicts.json.gz").read_bytes()))


@pytest.mark.parametrize("preset", PRESETS)
def test_arrays_of_a_published_preset_find_their_places_and_come_back(preset):
    published = {name: tuple(shape) for name, shape in PUBLISHED[preset]["arrays"].items()}
    with keras.StatelessScope():  # variables have shapes here, but no values: some presets have gigabytes of them
        model = build(preset)
        layout = layout_named(PRESETS[preset].layout, PRESETS[preset].architecture)
        bindings = layout.bind(model)
        derived = {name: array.shape for name, array in layout.derived_arrays(model).items()}
        assert count_parameters(model) == PUBLISHED[preset]["parameters"]
        keras.backend.clear_session()
    ours = {name: binding.shape for binding in bindings for name in binding.names}
    assert {**derived, **ours} == published

    random, seen = np.random.default_rng(0), set()
    for binding in bindings:
        kind = (*(re.sub(r"\d+", "#", name) for name in binding.names), binding.shape)
        if kind in seen:  # the same array of another block
            continue
        seen.add(kind)
        given = [random.random(binding.shape, np.float32) for _ in binding.names]
        value = binding.to_variable(given)
        assert value.shape == tuple(binding.variable.shape)
        for array, back in zip(given, binding.to_arrays(value), strict=True):
            assert back.tobytes() == array.tobytes(), binding.names


SMALLEST = {}
for name, preset in PRESETS.items():
    key = (preset.architecture, preset.layout)
    if key not in SMALLEST or PUBLISHED[name]["parameters"] < PUBLISHED[SMALLEST[key]]["parameters"]:
        SMALLEST[key] = name


@pytest.mark.parametrize("preset", SMALLEST.values())
def test_file_of_the_smallest_preset_loads_strictly_and_is_saved_byte_for_byte(tmp_path, preset):
    random, model, layout = np.random.default_rng(0), build(preset), PRESETS[preset].layout
    derived = layout_named(layout, PRESETS[preset].architecture).derived_arrays(model)
    given = {
        name: derived[name] if name in derived else random.random(shape, np.float32)
        for name, shape in PUBLISHED[preset]["arrays"].items()
    }
    aliases = layout_named(layout, PRESETS[preset].architecture).aliases
    given |= {alias: given[original] for alias, original in aliases.items() if alias in given}
    report = load_weights(model, given)
    assert (report.architecture, report.layout) == (PRESETS[preset].architecture, layout)
    assert report.resized == report.kept == ()
    saved = read_checkpoint(save_weights(model, tmp_path / "w.safetensors", layout=layout)).arrays
    assert saved.keys() == given.keys()
    for name, array in given.items():
        assert saved[name].tobytes() == np.asarray(array).tobytes(), name


def test_every_published_preset_is_tested():
    assert set(PRESETS) == set(PUBLISHED)


def test_two_misprints_are_known():
    """ResMLP's README says 116 M for S36, ViP's source says 55,534,632 for M/7; their own code builds these."""
    for preset, parameters in (("resmlp_36_224", 44_690_488), ("vip_m7", 55_272_488)):
        with keras.StatelessScope():
            assert count_parameters(build(preset)) == parameters
            keras.backend.clear_session()
