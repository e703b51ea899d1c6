"""MLP-Mixer-B/16 on ImageNet-1k from scratch: big_vision's `mlp_mixer_i1k`. *Not run here*.

Reported by big_vision: 76.3 % top-1 after 300 epochs. The weight decay is big_vision's 1e-4, which is not multiplied by
the learning rate there; divided by the peak learning rate it is the 0.1 below.
ImageNet must have been prepared for random access; where it is not, the run says by which command.

    python tasks/image_classification.py tasks/recipes/imagenet_mlp_mixer_b16.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/imagenet_mlp_mixer_b16",
    data="tfds:imagenet2012",
    image_size=224,
    backbone="mlp_mixer_b16",
    backbone_arguments={"activation": "gelu_tanh", "drop_path_rate": 0.1},
    batch_size=4096,
    epochs=300,
    precision="mixed_bfloat16",
    random_resized_crop=(0.05, 1.0),
    flip=True,
    rand_augment=(2, 15.0),
    mixup=0.5,
    loss="sigmoid",
    head_bias=-6.9,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="linear",
    warmup_epochs=32,
    final_learning_rate=1e-5,
    weight_decay=0.1,
    clip_norm=1.0,
    crop=0.875,
    interpolation="bilinear",
)
