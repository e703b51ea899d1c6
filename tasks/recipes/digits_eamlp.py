"""EAMLP on scikit-learn's digits, with average pooling: from four tokens, the class token learns slowly.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32:
98.9 % of the held-out fifth, 219,760 parameters, 44 s of training.

    python tasks/image_classification.py tasks/recipes/digits_eamlp.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/digits_eamlp",
    data="digits",
    image_size=32,
    backbone="eamlp",
    backbone_arguments={
        "num_blocks": 3,
        "hidden_dim": 64,
        "num_heads": 2,
        "mlp_dim": 128,
        "stem_dim": 32,
    },
    pool="average",
    batch_size=64,
    epochs=40,
    learning_rate=5e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    label_smoothing=0.1,
    padded_crop=4,
    clip_norm=1.0,
)
