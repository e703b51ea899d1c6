"""ViP on hidden colours, one stage on 8x8 places and one on 4x4.

Measured on 2 cores of an Intel Xeon, TensorFlow 2.21 on the CPU, float32: 1.313 nats for a hidden patch (the
best possible: 1.280, without looking: 1.915), 476,888 parameters, 127 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_vip.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_vip",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="vip",
    backbone_arguments={
        "patch_size": 4,
        "stage_depths": (2, 2),
        "stage_widths": (48, 96),
        "segments": (8, 4),
        "mlp_ratios": (3, 3),
    },
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
