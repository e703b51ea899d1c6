"""Every architecture, one paper to a file, and the two functions that find them by name."""

import difflib
import fnmatch
import inspect
import typing
from collections.abc import Callable

import keras

from mixer_tf.backbones.bert import VARIANTS as BERT
from mixer_tf.backbones.bert import bert
from mixer_tf.backbones.cycle_mlp import VARIANTS as CYCLE_MLP
from mixer_tf.backbones.cycle_mlp import cycle_mlp
from mixer_tf.backbones.eamlp import VARIANTS as EAMLP
from mixer_tf.backbones.eamlp import eamlp
from mixer_tf.backbones.ff_only import VARIANTS as FF_ONLY
from mixer_tf.backbones.ff_only import ff_only
from mixer_tf.backbones.fnet import VARIANTS as FNET
from mixer_tf.backbones.fnet import fnet
from mixer_tf.backbones.gmlp import TEXT_VARIANTS as GMLP_TEXT
from mixer_tf.backbones.gmlp import VARIANTS as GMLP
from mixer_tf.backbones.gmlp import gmlp, gmlp_text
from mixer_tf.backbones.gpt2 import VARIANTS as GPT2
from mixer_tf.backbones.gpt2 import gpt2
from mixer_tf.backbones.hire_mlp import VARIANTS as HIRE_MLP
from mixer_tf.backbones.hire_mlp import hire_mlp
from mixer_tf.backbones.mlp_mixer import TEXT_VARIANTS as MLP_MIXER_TEXT
from mixer_tf.backbones.mlp_mixer import VARIANTS as MLP_MIXER
from mixer_tf.backbones.mlp_mixer import mlp_mixer, mlp_mixer_text
from mixer_tf.backbones.resmlp import TEXT_VARIANTS as RESMLP_TEXT
from mixer_tf.backbones.resmlp import VARIANTS as RESMLP
from mixer_tf.backbones.resmlp import resmlp, resmlp_text
from mixer_tf.backbones.resnet import VARIANTS as RESNET
from mixer_tf.backbones.resnet import resnet
from mixer_tf.backbones.vip import VARIANTS as VIP
from mixer_tf.backbones.vip import vip
from mixer_tf.backbones.vit import VARIANTS as VIT
from mixer_tf.backbones.vit import vit
from mixer_tf.backbones.wave_mlp import VARIANTS as WAVE_MLP
from mixer_tf.backbones.wave_mlp import wave_mlp
from mixer_tf.checks import require, require_type

ARCHITECTURES: dict[str, tuple[Callable, dict[str, dict]]] = {
    "resnet": (resnet, RESNET),
    "bert": (bert, BERT),
    "gpt2": (gpt2, GPT2),
    "vit": (vit, VIT),
    "mlp_mixer": (mlp_mixer, MLP_MIXER),
    "mlp_mixer_text": (mlp_mixer_text, MLP_MIXER_TEXT),
    "fnet": (fnet, FNET),
    "ff_only": (ff_only, FF_ONLY),
    "resmlp": (resmlp, RESMLP),
    "resmlp_text": (resmlp_text, RESMLP_TEXT),
    "eamlp": (eamlp, EAMLP),
    "gmlp": (gmlp, GMLP),
    "gmlp_text": (gmlp_text, GMLP_TEXT),
    "cycle_mlp": (cycle_mlp, CYCLE_MLP),
    "wave_mlp": (wave_mlp, WAVE_MLP),
    "hire_mlp": (hire_mlp, HIRE_MLP),
    "vip": (vip, VIP),
}
"""Builder and variants of each architecture, in the order of the story."""

_VARIANTS = {name: (build, arguments) for build, table in ARCHITECTURES.values() for name, arguments in table.items()}


def list_backbones(pattern: str = "*", *, reads: str | None = None) -> list[str]:
    """Names of the backbones that match a shell pattern, in the order of the story.

    Args:
        pattern: as in file names: `"vit_*"`, `"*_s16"`.
        reads: `"image"` or `"text"` for backbones that read pictures or token ids alone; None for both.

    Example:
        >>> list_backbones("resnet1*")
        ['resnet18', 'resnet101', 'resnet152']
    """
    require(reads in (None, "image", "text"), f"reads must be 'image', 'text' or None; given: {reads!r}")
    names = [name for name in _VARIANTS if fnmatch.fnmatchcase(name, pattern)]
    return [name for name in names if reads in (None, "image" if _reads_images(_VARIANTS[name][0]) else "text")]


def create_backbone(name: str, image_shape: tuple[int, int, int] | None = None, **arguments) -> keras.Model:
    """Build a backbone by name, as a functional model.

    From pictures `[b, H, W, 3]` to features `[b, h, w, c]`, or from `token_ids` and `padding_mask` (and what else the
    encoder reads) `[b, t]` to `[b, t, c]`.

    Args:
        name: one of `list_backbones()`, or an architecture (`"vit"`) whose sizes you then all give yourself.
        image_shape: (height, width, channels) in pixels, for backbones that read pictures; None for the size that the
            variant was published for, most often (224, 224, 3).
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
    if _reads_images(build):
        usual = arguments.pop("image_shape", (224, 224, 3))
        arguments["image_shape"] = _checked_image_shape(usual if image_shape is None else image_shape)
    elif image_shape is not None:
        raise ValueError(f"{name} reads text and takes no image_shape; given: {image_shape}; give sequence_length")
    known = {key: parameter.default for key, parameter in inspect.signature(build).parameters.items()}
    if unknown := [argument for argument in arguments if argument not in known]:
        raise ValueError(f"{name} takes no argument {', '.join(unknown)}; it takes {', '.join(known)}")
    required = [key for key, default in known.items() if default is inspect.Parameter.empty]
    if missing := [key for key in required if key not in arguments]:
        raise ValueError(f"{name} needs the arguments {', '.join(required)}; missing: {', '.join(missing)}")
    _check_values(build, arguments)
    return build(**arguments)


def _reads_images(build: Callable) -> bool:
    return "image_shape" in inspect.signature(build).parameters


def _checked_image_shape(image_shape) -> tuple[int, int, int]:
    is_shape = isinstance(image_shape, tuple | list) and len(image_shape) == 3
    sound = is_shape and all(isinstance(side, int) and side > 0 for side in image_shape)
    require(sound, f"image_shape must be (height, width, channels), each above 0; given: {image_shape}")
    return tuple(image_shape)


def _check_values(build: Callable, arguments: dict) -> None:
    """Refuse arguments of a wrong type, sizes and counts below 1, and rates outside [0, 1)."""
    hints = typing.get_type_hints(build)
    for name, value in arguments.items():
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        require_type(name, values if isinstance(value, list) else value, hints[name])
        if name.endswith("dropout") or name == "drop_path_rate":
            require(0 <= value < 1, f"{name} must be in [0, 1); given: {value}")
        elif float not in (hints[name], *typing.get_args(hints[name])):  # what is counted
            sound = all(count >= 1 for count in values if type(count) is int)
            require(sound, f"{name} must be at least 1; given: {value}")
