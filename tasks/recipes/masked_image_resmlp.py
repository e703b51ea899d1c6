"""ResMLP on hidden colours, patches of 8 pixels.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: 1.451 nats for a
hidden patch (the best possible: 1.280, without looking: 1.915), 469,328 parameters, 61 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_resmlp.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_resmlp",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="resmlp",
    backbone_arguments={
        "patch_size": 8,
        "num_blocks": 5,
        "hidden_dim": 96,
        "channels_mlp_dim": 256,
        "layer_scale": 0.1,
    },
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
