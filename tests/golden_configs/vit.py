"""ViT from the terms of timm's code, DINOv2 from those of transformers."""

import keras

import mixer_tf as mt
from tests.golden_configs.config import ACTIVATIONS, Config, image_shape, with_classifier


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
