"""ConvMLP on hidden colours, one convolutional block and one MLP stage.

Measured on 2 cores of an Intel Xeon, TensorFlow 2.21 on the CPU, float32: 1.436 nats for a hidden patch (the
best possible: 1.280, without looking: 1.915), 688,040 parameters, 144 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_conv_mlp.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_conv_mlp",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="conv_mlp",
    backbone_arguments={
        "conv_depth": 1,
        "stem_dim": 48,
        "stage_depths": (3,),
        "stage_widths": (96,),
        "mlp_ratios": (3,),
    },
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
