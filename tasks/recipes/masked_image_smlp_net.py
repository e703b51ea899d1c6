"""sMLPNet on hidden colours, two stages.

Measured on 2 cores of an Intel Xeon, TensorFlow 2.21 on the CPU, float32: 1.332 nats for a hidden patch (the
best possible: 1.280, without looking: 1.915), 432,976 parameters, 118 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_smlp_net.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_smlp_net",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="smlp_net",
    backbone_arguments={"stage_depths": (2, 2), "stage_widths": (48, 96)},
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
