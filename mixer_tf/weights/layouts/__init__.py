"""The forms in which checkpoints of each architecture are published, one small table to a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import keras

from mixer_tf.weights.heads import is_head_layer
from mixer_tf.weights.layout import Convention, Layout, owners
from mixer_tf.weights.layouts import (
    as_mlp,
    bert,
    conv_mlp,
    cycle_mlp,
    eamlp,
    eanet,
    external_attention,
    ff_only,
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

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "resnet": resnet.LAYOUTS,
    "bert": bert.LAYOUTS,
    "gpt2": gpt2.LAYOUTS,
    "vit": vit.LAYOUTS,
    "mlp_mixer": mlp_mixer.LAYOUTS,
    "ff_only": ff_only.LAYOUTS,
    "resmlp": resmlp.LAYOUTS,
    "eamlp": eamlp.LAYOUTS,
    "external_attention": external_attention.LAYOUTS,
    "eanet": eanet.LAYOUTS,
    "gmlp": gmlp.LAYOUTS,
    "raft_mlp": raft_mlp.LAYOUTS,
    "cycle_mlp": cycle_mlp.LAYOUTS,
    "gfnet": gfnet.LAYOUTS,
    "gfnet_h": gfnet.HIERARCHICAL_LAYOUTS,
    "as_mlp": as_mlp.LAYOUTS,
    "wave_mlp": wave_mlp.LAYOUTS,
    "hire_mlp": hire_mlp.LAYOUTS,
    "vip": vip.LAYOUTS,
    "smlp_net": smlp_net.LAYOUTS,
    "conv_mlp": conv_mlp.LAYOUTS,
    "s2_mlp": s2_mlp.LAYOUTS,
    "s2_mlp_v2": s2_mlp_v2.LAYOUTS,
    "ms_mlp": ms_mlp.LAYOUTS,
    "rep_mlp_net": rep_mlp_net.LAYOUTS,
}
"""Architecture -> its layouts, the usual one first."""

OWN = Layout(name="mixer_tf", convention=Convention("/", {}), modules={})
"""The package's own names, `layer/variable`: what Keras's files hold. Every model has this layout."""


def architecture_of(model: keras.Model) -> str | None:
    """The architecture whose table names most of the layers before the head; None when it names less than half of them.

    A detector's head may have more layers than a small backbone.
    """
    layers = [layer for layer in owners(model) if not is_head_layer(layer.name)]
    shares = {
        architecture: max(sum(map(layout.covers, layers)) for layout in layouts) / max(len(layers), 1)
        for architecture, layouts in LAYOUTS.items()
    }
    best = max(shares, key=lambda architecture: shares[architecture])
    return best if shares[best] > 0.5 else None


def layouts_of(architecture: str | None) -> tuple[Layout, ...]:
    """The layouts of an architecture and, last, the package's own, with the architecture's rules of resizing."""
    layouts = LAYOUTS.get(architecture or "", ())
    rules = {ours: rule for layout in layouts for ours, rule in layout.resized.items()}
    return (*layouts, dataclasses.replace(OWN, resized=rules))


def layout_named(name: str, architecture: str | None) -> Layout:
    """The layout of that name.

    Raises:
        ValueError: when the architecture has none of that name.
    """
    layouts = {layout.name: layout for layout in layouts_of(architecture)}
    if name not in layouts:
        raise ValueError(
            f"layout of {architecture or 'this model'} must be one of {', '.join(layouts)}; given: {name!r}"
        )
    return layouts[name]


def guess(arrays: Iterable[str]) -> tuple[str, str] | None:
    """The architecture and layout that know most of these arrays; None when none knows half of them."""
    names = list(arrays)
    shares = {
        (architecture, layout.name): sum(layout.knows(layout.respell(name)) for name in names) / max(len(names), 1)
        for architecture, layouts in LAYOUTS.items()
        for layout in layouts
    }
    shares |= {
        (architecture, OWN.name): max(sum(map(layout.knows_own, names)) for layout in layouts) / max(len(names), 1)
        for architecture, layouts in LAYOUTS.items()
    }
    best = max(shares, key=lambda key: shares[key])
    return best if shares[best] > 0.5 else None
