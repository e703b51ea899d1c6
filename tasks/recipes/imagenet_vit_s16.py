"""ViT-S/16 on ImageNet-1k from scratch, the plain recipe of 90 epochs (arXiv 2205.01580). *Not run here*.

Reported by the authors: 76.5 % top-1 after 90 epochs. Its positions are a fixed table of sines and cosines; here they
are learned, as in the first ViT. Weight decay: the paper's 1e-4 is not multiplied by the learning rate; divided by the
peak learning rate it is the 0.1 below.
ImageNet must have been prepared for random access; where it is not, the run says by which command.

    python tasks/image_classification.py tasks/recipes/imagenet_vit_s16.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/imagenet_vit_s16",
    data="tfds:imagenet2012",
    image_size=224,
    backbone="vit_s16",
    backbone_arguments={"class_token": False, "activation": "gelu_tanh"},
    batch_size=1024,
    epochs=90,
    precision="mixed_bfloat16",
    random_resized_crop=(0.05, 1.0),
    flip=True,
    rand_augment=(2, 10.0),
    mixup=0.2,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    warmup_epochs=8,  # 10,000 updates
    weight_decay=0.1,
    clip_norm=1.0,
    crop=0.875,
    interpolation="bilinear",
)
