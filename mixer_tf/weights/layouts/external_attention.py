"""The names of the external attention blocks in the authors' code (MenghaoGuo/EANet)."""

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1


def conv1d(module: str) -> Parts:
    """A Dense layer of ours that the reference has as a one-dimensional convolution of one tap."""
    return Parts((module,), shape=lambda shape, heads: (*shape, 1) if len(shape) == 2 else shape)


def modules_2d(prefix: str = "") -> dict[str, str | Parts]:
    """The block of EANet, whose name in a larger network is the prefix."""
    return {
        "external_attention_input": conv1x1(f"{prefix}conv1"),
        "external_attention_keys": conv1d(f"{prefix}linear_0"),
        "external_attention_values": conv1d(f"{prefix}linear_1"),
        "external_attention_output": conv1x1(f"{prefix}conv2.0"),
        "external_attention_norm": f"{prefix}conv2.1",
    }


BLOCK_2D = Layout(name="eanet_2d", convention=TORCH, modules=modules_2d())

MULTIHEAD = Layout(
    name="eanet_multihead",
    convention=TORCH,
    modules={
        "external_attention_expansion": "trans_dims",
        "external_attention_keys": "linear_0",
        "external_attention_values": "linear_1",
        "external_attention_projection": "proj",
    },
)

LAYOUTS = (BLOCK_2D, MULTIHEAD)
