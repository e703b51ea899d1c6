"""A golden file's config: read key by key, so that nothing in it is ignored."""

from collections.abc import Callable

import keras

import mixer_tf as mt

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu (erf)": "gelu",
    "gelu_tanh": "gelu_tanh",
    "gelu (tanh)": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}

PROSE = {"features", "reference", "aliases", "stage_outputs", "weight_layout", "layer_scale_note"}
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


def optional_rules(config: Config) -> dict:
    """The activation and the norms' epsilon, for files that need not name them: the builder's defaults are theirs."""
    rules = {}
    if "activation" in config:
        rules["activation"] = config.choose("activation", ACTIVATIONS)
    if "norm_epsilon" in config:
        rules["norm_epsilon"] = config.take("norm_epsilon")
    return rules
