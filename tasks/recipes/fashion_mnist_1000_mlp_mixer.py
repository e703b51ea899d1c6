"""MLP-Mixer on 1,000 labelled pictures of Fashion-MNIST, to see what pretraining on the others is worth.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32, means of three seeds:
77.0 % of the 10,000 test pictures from random weights, 79.9 % from pretraining.

    python tasks/image_classification.py tasks/recipes/fashion_mnist_1000_mlp_mixer.py

and after pretraining with output_dir=runs/pretrained_mlp_mixer
initial_weights=runs/masked_image_fashion_mnist_mlp_mixer/model.keras
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/fashion_mnist_1000_mlp_mixer",
    data="tfds:fashion_mnist",
    train_split="train[:1000]",
    eval_split="test",
    image_size=28,
    backbone="mlp_mixer",
    backbone_arguments={
        "patch_size": 4,
        "num_blocks": 4,
        "hidden_dim": 96,
        "tokens_mlp_dim": 48,
        "channels_mlp_dim": 192,
    },
    batch_size=50,
    epochs=50,
    evaluate_every=50,
    learning_rate=1e-3,
    warmup_epochs=5,
    weight_decay=0.05,
    label_smoothing=0.1,
    flip=True,
    padded_crop=2,
    clip_norm=1.0,
    export=False,
)
