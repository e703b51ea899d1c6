"""CycleMLP on scikit-learn's digits, three stages from 8x8 to 2x2.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
99.2 % of the held-out fifth, 247,192 parameters, 33 s of training.

    python tasks/image_classification.py tasks/recipes/digits_cycle_mlp.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_cycle_mlp",
    data="digits",
    image_size=32,
    backbone="cycle_mlp",
    backbone_arguments={
        "stage_depths": (1, 2, 1),
        "stage_widths": (24, 48, 96),
        "mlp_ratios": (4, 4, 4),
        "patch_size": 7,
        "patch_stride": 4,
        "drop_path_rate": 0.1,
    },
    batch_size=64,
    epochs=40,
    learning_rate=4e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=4,
    clip_norm=1.0,
)
