"""Compare our models with the numbers of their reference implementations.

    python tests/golden.py tests/golden/*.npz

Each file holds a small model of a reference implementation: `config` (JSON), `weights/<name>` under the reference's
own names, `inputs/<name>` and `outputs/<name>`. The model is built from the config, the weights go through
`mixer_tf.load_weights`, and every output must be equal: logits within `atol=5e-5, rtol=1e-5`, features and stages
within `atol=2e-4, rtol=1e-4`. One line per file, then `N passed, N failed`; the exit code is 1 when a file fails.

A key or a value of a config that is not known here is refused, never ignored.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it also runs as a program

import keras
import numpy as np

import mixer_tf as mt
from tests.golden_configs import BUILDERS
from tests.golden_configs.config import Config

LOGITS_TOLERANCE = {"atol": 5e-5, "rtol": 1e-5}
INPUTS = {"attention_mask": "padding_mask"}
"""The reference's words for our inputs."""

DICT_OUTPUTS = {"logits": "mlm_logits", "features": "sequence"}
"""The same for a model that names its outputs."""

FEATURE_TOLERANCE = {"atol": 2e-4, "rtol": 1e-4}


def compare(path: Path) -> dict[str, float]:
    """Build, load, run; the largest absolute error of each output.

    Raises:
        ValueError: when the config is not understood, the weights do not fit or an output differs.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    config = Config(json.loads(str(arrays.pop("config"))))
    architecture = config.take("architecture")
    if architecture not in BUILDERS:
        raise ValueError(f"architecture must be one of {', '.join(BUILDERS)}; given: {architecture!r}")
    model = BUILDERS[architecture](config)
    config.done()
    mt.load_weights(model, under("weights/", arrays), resize=False)

    expected = under("outputs/", arrays)
    if not expected:
        raise ValueError("a golden file must have outputs/<name>; given: none")
    tensors = {name: output_tensor(model, name) for name in expected}
    computed = keras.Model(model.inputs, tensors)(inputs_of(model, under("inputs/", arrays)), training=False)
    errors = {}
    for name, reference in expected.items():
        ours = keras.ops.convert_to_numpy(computed[name]).reshape(reference.shape)
        errors[name] = float(np.abs(ours - reference).max())
        if not np.allclose(ours, reference, **(LOGITS_TOLERANCE if name.endswith("logits") else FEATURE_TOLERANCE)):
            raise ValueError(f"{name} differ from the reference by up to {errors[name]:.1e}")
    return errors


def under(prefix: str, arrays: dict) -> dict:
    """The arrays below a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def inputs_of(model: keras.Model, given: dict) -> list:
    """The file's inputs in the order of the model's; a text model names its inputs, a picture has one."""
    if len(given) == 1:
        return list(given.values())
    given = {INPUTS.get(name, name): array for name, array in given.items()}
    names = [tensor.name for tensor in model.inputs]
    if set(names) != set(given):
        raise ValueError(f"inputs must be {', '.join(names)}; given: {', '.join(given)}")
    return [given[name] for name in names]


def output_tensor(model: keras.Model, name: str):
    """Our tensor for an output of the reference.

    Features are the tokens after the last norm where there is one; `stage_2` is what the last block of stage 2 gives.
    """
    if isinstance(model.output, dict):
        return model.output[DICT_OUTPUTS.get(name, name)]
    layer_names = [layer.name for layer in model.layers]
    if name in ("logits", "mlm_logits"):
        return model.output
    if name in ("features", "sequence"):
        pyramid = [layer for layer in layer_names if layer[0] == "P" and layer[1:].isdigit()]
        last = [*pyramid, *(layer for layer in ("norm",) if layer in layer_names)]
        last = last or [layer for layer in layer_names if layer.startswith("block")] or layer_names
        return model.get_layer(last[-1]).output
    if name.startswith("stage_"):
        staged = [layer for layer in layer_names if layer.startswith(f"stage{name.removeprefix('stage_')}_block")]
        isotropic = [layer for layer in layer_names if layer.startswith("block")]
        return model.get_layer((staged or isotropic)[-1]).output
    raise ValueError(f"output must be logits, features or stage_<number>; given: {name!r}")


def main(paths: list[str]) -> int:
    """Compare every file and say how it went."""
    if not paths:
        print("usage: python tests/golden.py FILE.npz [FILE.npz ...]", file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        keras.backend.clear_session()
        try:
            errors = compare(Path(path))
        except Exception as error:  # whatever is wrong with one file, the others are still compared
            failed += 1
            print(f"FAILED {path}: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        else:
            print(f"passed {path}: " + ", ".join(f"{name} {error:.1e}" for name, error in errors.items()), flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
