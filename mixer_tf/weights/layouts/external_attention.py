"""The names of the external attention blocks in the authors' code (MenghaoGuo/EANet)."""

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1


def conv1d(module: str) -> Parts:
    """A Dense layer of ours that the reference has as a one-dimensional convolution of one tap."""
    return Parts((module,), shape=lambda shape, heads: (*shape, 1) if len(shape) == 2 else shape)


BLOCK_2D = Layout(
    name="eanet_2d",
    convention=TORCH,
    modules={
        "external_attention_input": conv1x1("conv1"),
        "external_attention_keys": conv1d("linear_0"),
        "external_attention_values": conv1d("linear_1"),
        "external_attention_output": conv1x1("conv2.0"),
        "external_attention_norm": "conv2.1",
    },
)

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
