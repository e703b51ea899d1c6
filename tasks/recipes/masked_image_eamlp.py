"""EAMLP on hidden colours, places of 16 pixels, which its stem makes.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: 1.706 nats for a
hidden patch (the best possible: 1.594, without looking: 1.916), 752,358 parameters, 158 s of training.

    python tasks/masked_image.py tasks/recipes/masked_image_eamlp.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_eamlp",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="eamlp",
    backbone_arguments={"num_blocks": 3, "hidden_dim": 64, "num_heads": 2, "mlp_dim": 128, "stem_dim": 32},
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
