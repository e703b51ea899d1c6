"""Wave-MLP on scikit-learn's digits, three stages from 8x8 to 2x2.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
99.7 % of the held-out fifth, 283,240 parameters, 46 s of training.

    python tasks/image_classification.py tasks/recipes/digits_wave_mlp.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_wave_mlp",
    data="digits",
    image_size=32,
    backbone="wave_mlp",
    backbone_arguments={
        "stage_depths": (1, 2, 1),
        "stage_widths": (24, 48, 96),
        "mlp_ratios": (4, 4, 4),
        "patch_size": 7,
        "patch_stride": 4,
        "drop_path_rate": 0.1,
    },
    batch_size=64,
    epochs=30,
    learning_rate=4e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=4,
    clip_norm=1.0,
)
