"""Every golden file in `tests/golden/`, through the program that compares any such file."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import golden

FILES = sorted((Path(__file__).parent / "golden").glob("*.npz"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_equal_the_reference(path):
    assert golden.compare(path)


def altered(path, target, **changes):
    """A copy of a golden file with other arrays or config entries."""
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(target, **{**arrays, **changes})
    return target


def config_with(path, text, replacement):
    with np.load(path) as file:
        return np.array(str(file["config"]).replace(text, replacement))


MIXER = Path(__file__).parent / "golden" / "mlp_mixer.npz"


def test_wrong_gelu_is_noticed(tmp_path):
    config = config_with(MIXER, '"gelu"', '"gelu_tanh"')
    with pytest.raises(ValueError, match="differ from the reference by up to"):
        golden.compare(altered(MIXER, tmp_path / "tanh.npz", config=config))


def test_wrong_epsilon_is_noticed(tmp_path):
    config = config_with(MIXER, "1e-06", "1e-03")
    with pytest.raises(ValueError, match="differ from the reference by up to"):
        golden.compare(altered(MIXER, tmp_path / "epsilon.npz", config=config))


def test_unknown_key_of_a_config_is_refused(tmp_path):
    config = config_with(MIXER, '"depth"', '"gating": true, "depth"')
    with pytest.raises(ValueError, match="keys that the builder does not know: gating"):
        golden.compare(altered(MIXER, tmp_path / "key.npz", config=config))


def test_unknown_value_of_a_config_is_refused(tmp_path):
    config = config_with(MIXER, '"gelu"', '"swish"')
    with pytest.raises(ValueError, match="'swish'"):
        golden.compare(altered(MIXER, tmp_path / "value.npz", config=config))


def test_program_counts_and_fails_when_one_file_fails(tmp_path, capsys):
    good = shutil.copy(MIXER, tmp_path / "good.npz")
    bad = altered(MIXER, tmp_path / "bad.npz", **{"outputs/logits": np.zeros((3, 10), np.float32)})
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    assert golden.main([str(good), str(bad), str(tmp_path / "broken.npz")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["passed", "FAILED", "FAILED"]
    assert lines[-1] == "1 passed, 2 failed"
    assert golden.main([str(good)]) == 0
