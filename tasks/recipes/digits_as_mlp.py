"""AS-MLP on scikit-learn's digits, two stages of patches of 2 pixels.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
99.7 % of the held-out fifth, 210,770 parameters, 50 s of training.

    python tasks/image_classification.py tasks/recipes/digits_as_mlp.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_as_mlp",
    data="digits",
    image_size=16,
    backbone="as_mlp",
    backbone_arguments={
        "patch_size": 2,
        "stage_depths": (2, 2),
        "stage_widths": (40, 80),
        "drop_path_rate": 0.1,
    },
    batch_size=64,
    epochs=40,
    learning_rate=2e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=2,
    clip_norm=1.0,
)
