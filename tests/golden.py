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
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import mixer_tf as mt

TOLERANCES = {"logits": {"atol": 5e-5, "rtol": 1e-5}}
FEATURE_TOLERANCE = {"atol": 2e-4, "rtol": 1e-4}

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu (erf)": "gelu",
    "gelu_tanh": "gelu_tanh",
    "gelu (tanh)": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}

PROSE = {"features", "reference"}
"""Keys that only explain the file."""


class Config(dict):
    """A golden file's config, of which every key must be taken."""

    def take(self, key: str, *default):
        """The value of a key, which then counts as understood."""
        if key not in self and not default:
            raise ValueError(f"config must have the key {key!r}; given: {', '.join(self)}")
        return self.pop(key, *default)

    def choose(self, key: str, meanings: dict):
        """Our word for the value of a key."""
        value = self.take(key)
        if value not in meanings:
            raise ValueError(f"config {key!r} must be one of {', '.join(meanings)}; given: {value!r}")
        return meanings[value]

    def require(self, key: str, accepted: Callable[[object], bool] | object, *default) -> None:
        """Take a key that may only say what our builder does anyway."""
        value = self.take(key, *default)
        if not (accepted(value) if callable(accepted) else value == accepted):
            raise ValueError(f"config {key!r} has a value that the builder does not know: {value!r}")

    def done(self) -> None:
        """Refuse what nobody has taken."""
        if unknown := set(self) - PROSE:
            raise ValueError(f"config has keys that the builder does not know: {', '.join(sorted(unknown))}")


def image_shape(config: Config, key: str = "image_size") -> tuple[int, int, int]:
    """(height, width, 3) from a side or from [height, width]."""
    size = config.take(key)
    return (size, size, 3) if isinstance(size, int) else (*size, 3)


def with_classifier(backbone: keras.Model, config: Config, **arguments) -> keras.Model:
    """The backbone itself where the file has no head."""
    num_classes = config.take("num_classes")
    return mt.classifier(backbone, num_classes, **arguments) if num_classes else backbone


def mlp_mixer(config: Config) -> keras.Model:
    """timm's `MlpMixer` of `MixerBlock`."""
    backbone = mt.create_backbone(
        "mlp_mixer",
        image_shape(config),
        patch_size=config.take("patch_size"),
        num_blocks=config.take("depth"),
        hidden_dim=config.take("hidden_dim"),
        tokens_mlp_dim=config.take("token_mlp_dim"),
        channels_mlp_dim=config.take("channel_mlp_dim"),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
    )
    return with_classifier(backbone, config)


def vit(config: Config) -> keras.Model:
    """timm's `VisionTransformer`."""
    config.require("position_embedding", lambda text: text.startswith("learned"), "learned")
    norm_epsilon, norm_before_pool = config.take("norm_epsilon"), config.take("norm_before_pool", True)
    backbone = mt.create_backbone(
        "vit",
        image_shape(config),
        **transformer_sizes(config),
        norm_epsilon=norm_epsilon,
        final_norm=norm_before_pool,
        layer_scale=config.take("layer_scale", None),
    )
    return with_classifier(
        backbone,
        config,
        pool=config.choose("pool", {"token": "token", "gap": "average"}),
        norm_epsilon=None if norm_before_pool else norm_epsilon,
        pre_logits_dim=config.take("pre_logits", None),
    )


def dinov2(config: Config) -> keras.Model:
    """The `Dinov2Model` of transformers: layer scale, and a position table resized to the input."""
    config.require("position_embedding", lambda text: "bicubic (a=-0.75" in text)
    config.require("layer_scale", lambda text: text.startswith("per channel on both branches"))
    config.require("unused_weights", ["embeddings.mask_token"])
    backbone = mt.create_backbone(
        "vit",
        image_shape(config, "input_size"),
        **transformer_sizes(config),
        norm_epsilon=config.take("norm_epsilon"),
        layer_scale=1.0,
        mask_token=True,
        pretrained_image_size=config.take("pretrained_image_size"),
    )
    return with_classifier(backbone, config)


def transformer_sizes(config: Config) -> dict:
    """What ViT and DINOv2 name alike."""
    return {
        "patch_size": config.take("patch_size"),
        "num_blocks": config.take("depth"),
        "hidden_dim": config.take("hidden_dim"),
        "num_heads": config.take("num_heads"),
        "mlp_dim": config.take("mlp_dim"),
        "class_token": config.take("class_token"),
        "qkv_bias": config.take("qkv_bias"),
        "activation": config.choose("activation", ACTIVATIONS),
    }


def resnet(config: Config) -> keras.Model:
    """timm's `ResNet`."""
    config.require("stride_position", lambda text: "3x3" in text)
    config.require("shortcut", lambda text: text.startswith("1x1 convolution + BN"))
    block = config.take("block")
    if block == "basic":
        config.require("expansion", 1, 1)
    backbone = mt.create_backbone(
        "resnet",
        image_shape(config),
        block=block,
        stage_depths=tuple(config.take("stage_depths")),
        stage_widths=tuple(config.take("stage_widths")),
        stem_dim=config.take("stem_dim"),
        expansion=config.take("expansion", 1),
        activation=config.choose("activation", ACTIVATIONS),
        norm_epsilon=config.take("norm_epsilon"),
    )
    return with_classifier(backbone, config)


BUILDERS = {"mlp_mixer": mlp_mixer, "vit": vit, "dinov2": dinov2, "resnet": resnet}


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
    mt.load_weights(model, under("weights/", arrays))

    expected = under("outputs/", arrays)
    if not expected:
        raise ValueError("a golden file must have outputs/<name>; given: none")
    tensors = {name: output_tensor(model, name) for name in expected}
    computed = keras.Model(model.inputs, tensors)(list(under("inputs/", arrays).values()), training=False)
    errors = {}
    for name, reference in expected.items():
        ours = keras.ops.convert_to_numpy(computed[name]).reshape(reference.shape)
        errors[name] = float(np.abs(ours - reference).max())
        if not np.allclose(ours, reference, **TOLERANCES.get(name, FEATURE_TOLERANCE)):
            raise ValueError(f"{name} differ from the reference by up to {errors[name]:.1e}")
    return errors


def under(prefix: str, arrays: dict) -> dict:
    """The arrays below a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def output_tensor(model: keras.Model, name: str):
    """Our tensor for an output of the reference; features are the tokens after the last norm where there are any."""
    layer_names = [layer.name for layer in model.layers]
    if name == "logits":
        return model.output
    if name == "features":
        pyramid = [layer for layer in layer_names if layer[0] == "P" and layer[1:].isdigit()]
        return model.get_layer("norm" if "norm" in layer_names else pyramid[-1]).output
    raise ValueError(f"output must be logits or features; given: {name!r}")


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
