"""Every architecture, one paper to a file, and the two functions that find them by name."""

import difflib
import fnmatch
import inspect
import typing
from collections.abc import Callable

import keras

from mixer_tf.backbones import (
    as_mlp,
    bert,
    conv_mlp,
    cycle_mlp,
    eamlp,
    eanet,
    ff_only,
    fnet,
    gfnet,
    gmlp,
    gpt2,
    hire_mlp,
    mlp_mixer,
    ms_mlp,
    raft_mlp,
    rep_mlp_net,
    resmlp,
    resnet,
    s2_mlp,
    s2_mlp_v2,
    smlp_net,
    vip,
    vit,
    wave_mlp,
)
from mixer_tf.checks import require, require_type

ARCHITECTURES: dict[str, tuple[Callable, dict[str, dict]]] = {
    "resnet": (resnet.resnet, resnet.VARIANTS),
    "bert": (bert.bert, bert.VARIANTS),
    "gpt2": (gpt2.gpt2, gpt2.VARIANTS),
    "vit": (vit.vit, vit.VARIANTS),
    "mlp_mixer": (mlp_mixer.mlp_mixer, mlp_mixer.VARIANTS),
    "mlp_mixer_text": (mlp_mixer.mlp_mixer_text, mlp_mixer.TEXT_VARIANTS),
    "fnet": (fnet.fnet, fnet.VARIANTS),
    "ff_only": (ff_only.ff_only, ff_only.VARIANTS),
    "resmlp": (resmlp.resmlp, resmlp.VARIANTS),
    "resmlp_text": (resmlp.resmlp_text, resmlp.TEXT_VARIANTS),
    "eamlp": (eamlp.eamlp, eamlp.VARIANTS),
    "eanet": (eanet.eanet, eanet.VARIANTS),
    "gmlp": (gmlp.gmlp, gmlp.VARIANTS),
    "gmlp_text": (gmlp.gmlp_text, gmlp.TEXT_VARIANTS),
    "raft_mlp": (raft_mlp.raft_mlp, raft_mlp.VARIANTS),
    "cycle_mlp": (cycle_mlp.cycle_mlp, cycle_mlp.VARIANTS),
    "gfnet": (gfnet.gfnet, gfnet.VARIANTS),
    "gfnet_h": (gfnet.gfnet_h, gfnet.HIERARCHICAL_VARIANTS),
    "as_mlp": (as_mlp.as_mlp, as_mlp.VARIANTS),
    "wave_mlp": (wave_mlp.wave_mlp, wave_mlp.VARIANTS),
    "hire_mlp": (hire_mlp.hire_mlp, hire_mlp.VARIANTS),
    "vip": (vip.vip, vip.VARIANTS),
    "smlp_net": (smlp_net.smlp_net, smlp_net.VARIANTS),
    "conv_mlp": (conv_mlp.conv_mlp, conv_mlp.VARIANTS),
    "s2_mlp": (s2_mlp.s2_mlp, s2_mlp.VARIANTS),
    "s2_mlp_v2": (s2_mlp_v2.s2_mlp_v2, s2_mlp_v2.VARIANTS),
    "ms_mlp": (ms_mlp.ms_mlp, ms_mlp.VARIANTS),
    "rep_mlp_net": (rep_mlp_net.rep_mlp_net, rep_mlp_net.VARIANTS),
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
    require_type("pattern", pattern, str)
    require(reads in (None, "image", "text"), f"reads must be 'image', 'text' or None; given: {reads!r}")
    names = [name for name in _VARIANTS if fnmatch.fnmatchcase(name, pattern)]
    return [name for name in names if reads in (None, "image" if _reads_images(_VARIANTS[name][0]) else "text")]


def create_backbone(name: str, /, image_shape: tuple[int, int, int] | None = None, **arguments) -> keras.Model:
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
    build, variant = _builder(name)
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


def require_backbone(name: str, *, reads: str) -> None:
    """Refuse a name that `create_backbone` does not know, or of a backbone that reads something else.

    Args:
        name: as `create_backbone` takes it.
        reads: `"image"` or `"text"`.

    Raises:
        ValueError: when it is none of these.

    Example:
        >>> require_backbone("vit_s16", reads="image")
    """
    found = "image" if _reads_images(_builder(name)[0]) else "text"
    require(
        found == reads,
        f"backbone must be one of mixer_tf.list_backbones(reads={reads!r}); given: {name!r}, which reads {found}s",
    )


def _builder(name: str) -> tuple[Callable, dict]:
    """The builder of a variant or an architecture, and the variant's arguments."""
    require_type("backbone", name, str)
    bare: dict[str, tuple[Callable, dict]] = {key: (build, {}) for key, (build, _) in ARCHITECTURES.items()}
    builders = bare | _VARIANTS
    if name not in builders:
        nearest = ", ".join(difflib.get_close_matches(name, builders, n=3, cutoff=0.3)) or ", ".join(ARCHITECTURES)
        raise ValueError(f"backbone must be one of mixer_tf.list_backbones(); given: {name!r}; nearest: {nearest}")
    return builders[name]


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
        elif name.endswith(("_ratio", "_ratios")):
            require(all(ratio > 0 for ratio in values), f"{name} must be above 0; given: {value}")
        elif name.endswith("epsilon"):
            require(value >= 0, f"{name} must be at least 0; given: {value}")
        elif name.endswith("momentum"):
            require(0 <= value < 1, f"{name} must be in [0, 1); given: {value}")
        elif name == "shift_distances":
            continue  # either side
        elif float not in (hints[name], *typing.get_args(hints[name])):  # what is counted
            least = 0 if name.endswith("padding") else 1
            sound = all(count >= least for count in values if type(count) is int)
            require(sound, f"{name} must be at least {least}; given: {value}")
