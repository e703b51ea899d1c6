"""Every architecture, one paper to a file, and the two functions that find them by name."""

import difflib
import fnmatch
import inspect
import typing
from collections.abc import Callable

import keras

from mixer_tf.backbones.mlp_mixer import VARIANTS as MLP_MIXER
from mixer_tf.backbones.mlp_mixer import mlp_mixer
from mixer_tf.backbones.resnet import VARIANTS as RESNET
from mixer_tf.backbones.resnet import resnet
from mixer_tf.backbones.vit import VARIANTS as VIT
from mixer_tf.backbones.vit import vit
from mixer_tf.checks import require, require_type

ARCHITECTURES: dict[str, tuple[Callable, dict[str, dict]]] = {
    "resnet": (resnet, RESNET),
    "vit": (vit, VIT),
    "mlp_mixer": (mlp_mixer, MLP_MIXER),
}
"""Builder and variants of each architecture, in the order of the story."""

_VARIANTS = {name: (build, arguments) for build, table in ARCHITECTURES.values() for name, arguments in table.items()}


def list_backbones(pattern: str = "*") -> list[str]:
    """Names of the backbones that match a shell pattern, in the order of the story.

    Example:
        >>> list_backbones("resnet1*")
        ['resnet18', 'resnet101', 'resnet152']
    """
    return [name for name in _VARIANTS if fnmatch.fnmatchcase(name, pattern)]


def create_backbone(name: str, image_shape: tuple[int, int, int] = (224, 224, 3), **arguments) -> keras.Model:
    """Build a backbone by name: a functional model from pictures `[b, H, W, 3]` to features `[b, h, w, c]`.

    Args:
        name: one of `list_backbones()`, or an architecture (`"vit"`) whose sizes you then all give yourself.
        image_shape: (height, width, channels) in pixels.
        **arguments: any argument of the architecture's builder, in place of the variant's own value.

    Raises:
        ValueError: when the name or an argument is unknown (it names the nearest), or the builder refuses a value.

    Example:
        >>> backbone = create_backbone("mlp_mixer_s16", image_shape=(96, 64, 3), num_blocks=2)
        >>> backbone.output.shape
        (None, 6, 4, 512)
    """
    bare: dict[str, tuple[Callable, dict]] = {key: (build, {}) for key, (build, _) in ARCHITECTURES.items()}
    builders = bare | _VARIANTS
    if name not in builders:
        nearest = ", ".join(difflib.get_close_matches(name, builders, n=3, cutoff=0.3)) or ", ".join(ARCHITECTURES)
        raise ValueError(f"backbone must be one of mixer_tf.list_backbones(); given: {name!r}; nearest: {nearest}")
    build, variant = builders[name]
    arguments = {"name": name, **variant, **arguments}
    known = {key: parameter.default for key, parameter in inspect.signature(build).parameters.items()}
    if unknown := [argument for argument in arguments if argument not in known]:
        raise ValueError(f"{name} takes no argument {', '.join(unknown)}; it takes {', '.join(known)}")
    required = [key for key, default in known.items() if default is inspect.Parameter.empty and key != "image_shape"]
    if missing := [key for key in required if key not in arguments]:
        raise ValueError(f"{name} needs the arguments {', '.join(required)}; missing: {', '.join(missing)}")
    _check_values(build, image_shape, arguments)
    return build(tuple(image_shape), **arguments)


def _check_values(build: Callable, image_shape, arguments: dict) -> None:
    """Refuse arguments of a wrong type, sizes and counts below 1, and rates outside [0, 1)."""
    is_shape = isinstance(image_shape, tuple | list) and len(image_shape) == 3
    sound = is_shape and all(isinstance(side, int) and side > 0 for side in image_shape)
    require(sound, f"image_shape must be (height, width, channels), each above 0; given: {image_shape}")
    hints = typing.get_type_hints(build)
    for name, value in arguments.items():
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        require_type(name, values if isinstance(value, list) else value, hints[name])
        if name in ("dropout", "drop_path_rate"):
            require(0 <= value < 1, f"{name} must be in [0, 1); given: {value}")
        elif float not in (hints[name], *typing.get_args(hints[name])):  # what is counted
            sound = all(count >= 1 for count in values if type(count) is int)
            require(sound, f"{name} must be at least 1; given: {value}")
