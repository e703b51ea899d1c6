"""MLP-Mixer on hidden parts of Fashion-MNIST's 60,000 training pictures, without their labels.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: from the features a linear
model tells 79.9 % of the test pictures' classes, the 20 nearest neighbours 72.6 %; 178,948 parameters, 449 s of
training.

    python tasks/masked_image.py tasks/recipes/masked_image_fashion_mnist_mlp_mixer.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_fashion_mnist_mlp_mixer",
    data="tfds:fashion_mnist",
    image_size=28,
    patch_size=4,
    target="pixels",
    backbone="mlp_mixer",
    backbone_arguments={
        "patch_size": 4,
        "num_blocks": 4,
        "hidden_dim": 96,
        "tokens_mlp_dim": 48,
        "channels_mlp_dim": 192,
    },
    batch_size=128,
    epochs=4,
    learning_rate=2e-3,
    warmup_epochs=0.5,
    weight_decay=0.05,
    flip=True,
    padded_crop=2,
    clip_norm=1.0,
    export=False,
)
