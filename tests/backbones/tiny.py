"""A small model of each architecture, its sizes pairwise different, so that a swapped axis cannot pass."""

import dataclasses

import numpy as np

import mixer_tf as mt

IMAGE_SHAPE = (24, 40, 3)


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A small form of an architecture that reads pictures.

    Attributes:
        arguments: what its builder takes.
        strides: stride of each level of its feature pyramid; the last is that of its output.
        image_shape: not square, unless the architecture wants squares.
        unreached: ends of the paths of weights that no output depends on: a norm or a softmax removes them.
        to_train: arguments with which every weight gets a gradient in the first step, for papers that start branches
            at zero; with drop path and dropout, where there are any.
    """

    arguments: dict
    strides: tuple[int, ...]
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    unreached: tuple[str, ...] = ()
    to_train: dict = dataclasses.field(default_factory=lambda: {"drop_path_rate": 0.2, "dropout": 0.1})


TINY = {
    "resnet": Tiny(
        {"block": "bottleneck", "stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 7, "expansion": 3},
        strides=(4, 8),
        to_train={"drop_path_rate": 0.2, "zero_init_residual": False},
    ),
    "vit": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20},
        strides=(8,),
        unreached=("attention_qkv/bias",),  # the third of it that belongs to the keys
    ),
    "mlp_mixer": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 7, "channels_mlp_dim": 14},
        strides=(8,),
        unreached=("token_mixing_fc2/bias",),
    ),
    "ff_only": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 7, "channels_mlp_dim": 14},
        strides=(8,),
        unreached=("block1_token_mixing_fc2/bias",),
    ),
    "resmlp": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "channels_mlp_dim": 14, "layer_scale": 0.1},
        strides=(8,),
    ),
    "eamlp": Tiny(
        {
            "num_blocks": 2,
            "hidden_dim": 12,
            "num_heads": 3,
            "mlp_dim": 20,
            "memory_units": 7,
            "stem_dim": 5,
            "stem_memory_units": 9,
        },
        strides=(16,),
        image_shape=(32, 48, 3),
        unreached=(  # the softmax over the tokens removes what is the same for all of them
            *(f"block{i}_{part}" for i in (0, 1) for part in ("attention_expansion/bias", "norm1/beta")),
            *(f"block{i}_attention_keys/bias" for i in (0, 1)),
        ),
        to_train={"drop_path_rate": 0.2, "dropout": 0.1, "stem_dropout": 0.1},
    ),
    "eanet": Tiny(
        {
            "stage_depths": (1, 1, 2),
            "stage_widths": (5, 6, 8),
            "stem_dim": 4,
            "expansion": 3,
            "multi_grid": (1, 2),
            "attention_dim": 11,
            "memory_units": 7,
            "output_dim": 9,
        },
        strides=(4, 8),
        unreached=("external_attention_input/bias",),  # the softmax over the pixels removes it
        to_train={},
    ),
    "gmlp": Tiny({"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "ffn_dim": 14}, strides=(8,)),
    "cycle_mlp": Tiny(
        {"stage_depths": (1, 2), "stage_widths": (9, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8),
        to_train={"drop_path_rate": 0.2},
    ),
    "wave_mlp": Tiny(
        {"stage_depths": (1, 2), "stage_widths": (9, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8),
        unreached=("stem_patch_embedding/bias", "downsample/bias", "phase/bias"),  # a BatchNormalization follows
        to_train={"drop_path_rate": 0.2},
    ),
    "hire_mlp": Tiny(
        {
            "stage_depths": (1, 2),
            "stage_widths": (9, 14),
            "mlp_ratios": (2, 3),
            "region_sizes": (4, 3),
            "step_periods": (1, 2),
            "step_sizes": (1, 2),
        },
        strides=(4, 8),
        unreached=("stem_patch_embedding/bias", "downsample/bias"),
        to_train={"drop_path_rate": 0.2},
    ),
    "vip": Tiny(
        {
            "patch_size": 8,
            "stage_depths": (1, 2),
            "stage_widths": (12, 10),
            "segments": (4, 2),
            "mlp_ratios": (2, 3),
        },
        strides=(8, 16),
        image_shape=(32, 32, 3),
        to_train={"drop_path_rate": 0.2},
    ),
    "raft_mlp": Tiny(
        {
            "stage_depths": (1, 2),
            "stage_widths": (10, 12),
            "patch_sizes": (4, 2),
            "raft_sizes": (2, 3),
            "embedding_kernels": ((4, 8), (2, 4)),
        },
        strides=(4, 8),
    ),
    "gfnet": Tiny({"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "mlp_dim": 14}, strides=(8,)),
    "gfnet_h": Tiny(
        {"stage_depths": (1, 2), "stage_widths": (7, 10), "mlp_ratios": (3, 2)},
        strides=(4, 8),
    ),
    "smlp_net": Tiny({"stage_depths": (1, 2), "stage_widths": (7, 12), "mlp_ratio": 2}, strides=(4, 8)),
    "rep_mlp_net": Tiny(
        {
            "stage_depths": (1, 2),
            "stage_widths": (8, 12),
            "num_sets": (2, 3),
            "tile_sizes": ((3, 5), (1, 5)),
            "gate_reduction": 2,
        },
        strides=(4, 8),
        to_train={},
    ),
    "as_mlp": Tiny(  # 7 channels give four groups, not five
        {"stage_depths": (1, 2), "stage_widths": (7, 12), "mlp_ratio": 3},
        strides=(4, 8),
    ),
    "conv_mlp": Tiny(  # sides that are odd at one stride-2 convolution or another
        {"conv_depth": 1, "stem_dim": 6, "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8, 16),
        image_shape=(22, 37, 3),
        to_train={"drop_path_rate": 0.2},
    ),
    "s2_mlp": Tiny(
        {"patch_sizes": (4, 2), "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8),
    ),
    "s2_mlp_v2": Tiny(
        {
            "patch_sizes": (4, 2),
            "stage_depths": (1, 2),
            "stage_widths": (10, 14),
            "mlp_ratios": (2, 3),
            "split_attention_ratio": 0.5,
        },
        strides=(4, 8),
    ),
    "ms_mlp": Tiny(
        {
            "stage_depths": (1, 2),
            "stage_widths": (11, 16),
            "mix_kernels": ((1, 1, 3, 5), (3, 1, 7, 1)),
            "shift_distances": (-2, 0, 1, 3),
            "mlp_ratio": 3,
        },
        strides=(4, 8),
        to_train={"drop_path_rate": 0.2, "layer_scale": 0.5},
    ),
}


@dataclasses.dataclass(frozen=True)
class TinyText:
    """A small form of an architecture that reads text, of 7 tokens out of 23.

    Attributes:
        arguments: what its builder takes, beyond the sizes that all share.
        causal: whether a token sees only itself and those before it.
        unreached: ends of the paths of weights that no output depends on.
        to_train: as in `Tiny`.
    """

    arguments: dict
    causal: bool = False
    unreached: tuple[str, ...] = ()
    to_train: dict = dataclasses.field(default_factory=lambda: {"drop_path_rate": 0.2, "dropout": 0.1})


_TRANSFORMER = {"num_heads": 3, "mlp_dim": 20, "max_positions": 11}
_DROPOUTS = {"dropout": 0.1, "attention_dropout": 0.2}

TINY_TEXT = {
    "bert": TinyText({**_TRANSFORMER, "num_segments": 4}, to_train=_DROPOUTS),
    "gpt2": TinyText(_TRANSFORMER, causal=True, to_train=_DROPOUTS),
    "mlp_mixer_text": TinyText({"tokens_mlp_dim": 9, "channels_mlp_dim": 14}, unreached=("token_mixing_fc2/bias",)),
    "fnet": TinyText({"mlp_dim": 20, "max_positions": 11}, to_train={"dropout": 0.1}),
    "resmlp_text": TinyText({"channels_mlp_dim": 14}),
    "gmlp_text": TinyText({"ffn_dim": 18}),
}


def tiny_encoder(architecture: str, **arguments):
    """The small model of text without a head, with any argument of its builder changed."""
    sizes = {"sequence_length": 7, "vocab_size": 23, "num_blocks": 2, "hidden_dim": 12}
    return mt.create_backbone(architecture, **{**sizes, **TINY_TEXT[architecture].arguments, **arguments})


def tiny_language_model(architecture: str, **arguments):
    """The small model of text with its head, and a table of tokens so large that logits differ."""
    head = mt.causal_language_model if TINY_TEXT[architecture].causal else mt.masked_language_model
    model = head(tiny_encoder(architecture, **arguments))
    table = model.get_layer("token_embedding").embeddings
    table.assign(np.random.default_rng(6).normal(scale=0.3, size=table.shape))
    return model


def tiny_texts(architecture: str, batch: int = 3):
    """Random texts for the small model, of 7, 4, 6, 7, 4, ... tokens, by the names of its inputs."""
    random = np.random.default_rng(1)
    lengths = np.resize([7, 4, 6], batch)
    texts = {
        "token_ids": random.integers(1, 23, (batch, 7)),
        "segment_ids": random.integers(0, 4, (batch, 7)),
        "padding_mask": np.arange(7) < lengths[:, None],
    }
    names = {tensor.name for tensor in tiny_encoder(architecture).inputs}
    return {name: array.astype("int32") for name, array in texts.items() if name in names}


def tiny_backbone(architecture: str, image_shape=None, **arguments):
    """The small model, with any argument of its builder changed."""
    tiny = TINY[architecture]
    return mt.create_backbone(architecture, image_shape or tiny.image_shape, **{**tiny.arguments, **arguments})


def tiny_classifier(architecture: str, num_classes: int = 4, **arguments):
    """The small model with a head, random here: as built it starts at zero, and all logits are equal."""
    model = mt.classifier(tiny_backbone(architecture, **arguments), num_classes)
    kernel = model.get_layer("head").kernel
    kernel.assign(np.random.default_rng(6).normal(size=kernel.shape))
    return model


def tiny_images(architecture: str, batch: int = 3):
    """Random pictures for the small model."""
    return np.random.default_rng(1).normal(size=(batch, *TINY[architecture].image_shape)).astype("float32")


def shuffled_patches(pictures, order, patch_size: int = 8):
    """The pictures with their patches in another order."""
    b, height, width, c = pictures.shape
    h, w = height // patch_size, width // patch_size
    patches = pictures.reshape(b, h, patch_size, w, patch_size, c).transpose(0, 1, 3, 2, 4, 5)
    patches = patches.reshape(b, -1, patch_size, patch_size, c)[:, order]
    patches = patches.reshape(b, h, w, patch_size, patch_size, c).transpose(0, 1, 3, 2, 4, 5)
    return patches.reshape(pictures.shape)
