"""MLP-Mixer on Fashion-MNIST: 70,000 real pictures of clothes in ten classes (arXiv 1708.07747).

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
89.5 % of the 10,000 test pictures (averaged weights 89.3 %), 444,720 parameters, 1,232 s of training (23 minutes in
all).

The data set must have been prepared; where it is not, the run says by which command.

    python tasks/image_classification.py tasks/recipes/fashion_mnist_mlp_mixer.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/fashion_mnist_mlp_mixer",
    data="tfds:fashion_mnist",
    image_size=28,
    backbone="mlp_mixer",
    backbone_arguments={
        "patch_size": 4,
        "num_blocks": 6,
        "hidden_dim": 128,
        "tokens_mlp_dim": 64,
        "channels_mlp_dim": 256,
        "drop_path_rate": 0.05,
    },
    batch_size=128,
    epochs=10,
    learning_rate=2e-3,
    warmup_epochs=1,
    weight_decay=0.05,
    label_smoothing=0.1,
    flip=True,
    padded_crop=2,
    clip_norm=1.0,
    ema=0.999,
)
