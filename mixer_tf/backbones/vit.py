"""Vision Transformer: An Image is Worth 16x16 Words. Dosovitskiy et al. 2020, arXiv 2010.11929.

Reference code: google-research/vision_transformer (`models_vit.py`) and timm (`vision_transformer.py`); for DINOv2
(Oquab et al. 2023, arXiv 2304.07193) facebookresearch/dinov2 and transformers (`modeling_dinov2.py`).

The idea: cut the picture into patches, treat them as words, and let a plain Transformer encoder do the rest. A learned
class token collects what the classifier needs; positions are learned too, since attention alone does not see them.

Query, key and value come from one packed product (as in timm), which is faster than three.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.attention import attention
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_level
from mixer_tf.layers.tokens import ClassToken, LayerScale, MaskToken, PositionEmbedding


def vit(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    num_heads: int,
    mlp_dim: int,
    class_token: bool = True,
    qkv_bias: bool = True,
    final_norm: bool = True,
    layer_scale: float | None = None,
    mask_token: bool = False,
    pretrained_image_size: int | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "vit",
) -> keras.Model:
    """Vision Transformer as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    The last LayerNormalization (layer `norm`) sees the class token too; `mixer_tf.classifier` takes it from there.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides.
        patch_size: side of a patch in pixels.
        num_blocks: number of encoder blocks.
        hidden_dim: channels of every token; `num_heads` must divide it.
        num_heads: number of attention heads.
        mlp_dim: hidden width of the MLP.
        class_token: put a learned token before the patches.
        qkv_bias: give the query, key and value projection a bias.
        final_norm: end with a LayerNormalization; without it the classifier may normalise after pooling.
        layer_scale: initial value of a learned factor per channel on both branches (DINOv2); None for no such factor.
        mask_token: own DINOv2's mask token, so that its checkpoints load and save whole.
        pretrained_image_size: side in pixels of the square image that the position table is stored for; the table is
            resized to this input at every call (DINOv2). None stores it for `image_shape`.
        activation: `"gelu"` (erf, timm) or `"gelu_tanh"` (Google's JAX code, in which its weights were trained).
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the positions, the attention's projection and both Dense layers of the MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image, `num_heads` not `hidden_dim`, or the activation is
            unknown.

    Example:
        >>> backbone = vit((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=12, num_heads=3, mlp_dim=20)
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    if (pretrained_image_size or 0) % patch_size:
        raise ValueError(f"patch_size {patch_size} must divide pretrained_image_size; given: {pretrained_image_size}")
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(image, hidden_dim, patch_size, name="stem_patch_embedding")  # [b, h, w, c]
    grid = x.shape[1:]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, s, c]
    x = MaskToken(name="mask_token")(x) if mask_token else x
    x = ClassToken(name="class_token")(x) if class_token else x  # [b, 1 + s, c]
    stored_grid = 2 * (pretrained_image_size // patch_size,) if pretrained_image_size else None
    x = PositionEmbedding(grid[:2], stored_grid, name="position_embedding")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = encoder_block(
            x,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            qkv_bias=qkv_bias,
            layer_scale=layer_scale,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    norm = LayerNormalization(epsilon=norm_epsilon, name="norm") if final_norm else layers.Identity(name="norm")
    x = norm(x)
    x = x[:, 1:] if class_token else x  # [b, s, c]
    x = layers.Reshape(grid, name=pyramid_level(patch_size))(x)  # [b, h, w, c]
    return Model(image, x, name=name)


def encoder_block(
    x, *, num_heads, mlp_dim, qkv_bias, layer_scale, activation, norm_epsilon, dropout, drop_path_rate, name
):
    """Attention, then an MLP, each with its own norm before it and residual around it: `[b, s, c] -> [b, s, c]`."""

    def add(x, y, branch):
        y = LayerScale(layer_scale, name=f"{name}_{branch}_scale")(y) if layer_scale is not None else y
        y = drop_path(y, drop_path_rate, name=f"{name}_{branch}_drop_path")
        return layers.Add(name=f"{name}_{branch}_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = attention(y, num_heads, qkv_bias=qkv_bias, dropout=dropout, name=f"{name}_attention")
    x = add(x, y, "attention")

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    y = mlp(
        y,
        mlp_dim,
        activation=activation,
        dropout=dropout,
        kernel_initializer="glorot_uniform",
        bias_initializer=keras.initializers.RandomNormal(stddev=1e-6),
        name=f"{name}_mlp",
    )
    return add(x, y, "mlp")


def _variant(patch_size, num_blocks, hidden_dim, num_heads, **arguments):
    """Table 1 of the paper: the MLP is four times as wide as the model."""
    return {
        "patch_size": patch_size,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "num_heads": num_heads,
        "mlp_dim": 4 * hidden_dim,
        **arguments,
    }


_DINOV2 = {"layer_scale": 1e-5, "mask_token": True, "pretrained_image_size": 518}

VARIANTS: dict[str, dict] = {
    "vit_ti16": _variant(16, 12, 192, 3),
    "vit_s32": _variant(32, 12, 384, 6),
    "vit_s16": _variant(16, 12, 384, 6),
    "vit_b32": _variant(32, 12, 768, 12),
    "vit_b16": _variant(16, 12, 768, 12),
    "vit_b16_gap": _variant(16, 12, 768, 12, class_token=False),
    "vit_b8": _variant(8, 12, 768, 12),
    "vit_l32": _variant(32, 24, 1024, 16),
    "vit_l16": _variant(16, 24, 1024, 16),
    "vit_h14": _variant(14, 32, 1280, 16),
    "dinov2_s14": _variant(14, 12, 384, 6, **_DINOV2),
    "dinov2_b14": _variant(14, 12, 768, 12, **_DINOV2),
    "dinov2_l14": _variant(14, 24, 1024, 16, **_DINOV2),
}
