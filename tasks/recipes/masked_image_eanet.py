"""EANet on hidden colours, a small residual network below its attention.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: 1.476 nats for a
hidden patch (the best possible: 1.280, without looking: 1.915), 505,024 parameters, 153 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_eanet.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_eanet",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="eanet",
    backbone_arguments={
        "stage_depths": (1, 1, 2),
        "stage_widths": (16, 32, 48),
        "stem_dim": 32,
        "expansion": 2,
        "multi_grid": (1, 2),
        "attention_dim": 96,
        "memory_units": 32,
        "output_dim": 96,
    },
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
