"""RepMLPNet on scikit-learn's digits, with two stages.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
100.0 % of the held-out fifth, 142,266 parameters, 24 s of training.

    python tasks/image_classification.py tasks/recipes/digits_rep_mlp_net.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_rep_mlp_net",
    data="digits",
    image_size=32,
    backbone="rep_mlp_net",
    backbone_arguments={
        "stage_depths": (2, 2),
        "stage_widths": (32, 64),
        "num_sets": (4, 16),
    },
    batch_size=64,
    epochs=20,
    learning_rate=2e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=4,
    clip_norm=1.0,
)
