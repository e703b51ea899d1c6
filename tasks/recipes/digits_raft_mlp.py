"""RaftMLP on scikit-learn's digits, with two stages and multi-scale patch embeddings.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
99.7 % of the held-out fifth, 297,882 parameters, 52 s of training.

    python tasks/image_classification.py tasks/recipes/digits_raft_mlp.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_raft_mlp",
    data="digits",
    image_size=32,
    backbone="raft_mlp",
    backbone_arguments={
        "stage_depths": (2, 2),
        "stage_widths": (48, 96),
        "patch_sizes": (4, 2),
        "raft_sizes": (2, 2),
        "embedding_kernels": ((4, 8), (2, 4)),
        "drop_path_rate": 0.1,
    },
    batch_size=64,
    epochs=30,
    learning_rate=2e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=4,
    clip_norm=1.0,
)
