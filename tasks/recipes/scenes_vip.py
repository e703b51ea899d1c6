"""A ViP of two stages with a detector, on generated scenes of digits.

*Not run here* to its end so far.

    python tasks/object_detection.py tasks/recipes/scenes_vip.py
"""

from mixer_tf.recipe import ObjectDetection

recipe = ObjectDetection(
    output_dir="runs/scenes_vip",
    data="scenes",
    image_size=96,
    backbone="vip_s7",
    backbone_arguments={
        "patch_size": 4,
        "stage_depths": (1, 3),
        "stage_widths": (48, 96),
        "segments": (24, 12),
        "mlp_ratios": (3, 3),
    },
    head_width=64,
    head_convs=1,
    batch_size=8,
    epochs=12,
    learning_rate=1e-3,
    warmup_epochs=0.3,
    weight_decay=0.02,
    clip_norm=5.0,
    max_objects=8,
    scale_jitter=(0.85, 1.2),
)
