"""ResNet on hidden colours, two stages of basic blocks.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: 1.352 nats for a
hidden patch (the best possible: 1.280, without looking: 1.915), 585,200 parameters, 156 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_resnet.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_resnet",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="resnet",
    backbone_arguments={"block": "basic", "stage_depths": (2, 2), "stage_widths": (48, 96), "stem_dim": 48},
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
