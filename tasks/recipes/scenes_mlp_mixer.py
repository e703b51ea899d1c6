"""An MLP-Mixer with a detector, on generated scenes of digits.

Measured on 2 cores of an AMD EPYC with other work beside, TensorFlow 2.21 on the CPU, float32: AP 0.510, AP50 0.799 on
256 held-out scenes, 578,670 parameters, 637 s of training.

    python tasks/object_detection.py tasks/recipes/scenes_mlp_mixer.py
"""

from mixer_tf.recipe import ObjectDetection

recipe = ObjectDetection(
    output_dir="runs/scenes_mlp_mixer",
    data="scenes",
    image_size=96,
    backbone="mlp_mixer_b16",
    backbone_arguments={
        "patch_size": 8,
        "num_blocks": 4,
        "hidden_dim": 96,
        "tokens_mlp_dim": 128,
        "channels_mlp_dim": 256,
    },
    head_width=64,
    head_convs=1,
    batch_size=8,
    epochs=12,
    learning_rate=1e-3,
    warmup_epochs=0.3,
    weight_decay=0.02,
    clip_norm=5.0,
    max_objects=8,
    scale_jitter=(0.85, 1.2),
)
