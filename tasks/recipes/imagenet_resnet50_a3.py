"""ResNet-50 on ImageNet-1k, procedure A3 of "ResNet strikes back" (arXiv 2110.00476). *Not run here*.

Reported by the authors: 78.1 % top-1 after 100 epochs at 160 px, evaluated at 224 px. Here the evaluation uses the
training's 160 px. Their binary cross-entropy is the mean over the classes, ours the sum: LAMB's steps do not depend on
that factor. RandAugment's magnitude is fixed at 6 (theirs varies with a standard deviation of 0.5).
ImageNet must have been prepared for random access; where it is not, the run says by which command.

    python tasks/image_classification.py tasks/recipes/imagenet_resnet50_a3.py
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/imagenet_resnet50_a3",
    data="tfds:imagenet2012",
    image_size=160,
    backbone="resnet50",
    batch_size=2048,
    epochs=100,
    precision="mixed_bfloat16",
    random_resized_crop=(0.08, 1.0),
    flip=True,
    rand_augment=(2, 6.0),
    mixup=0.1,
    cutmix=1.0,
    loss="sigmoid",
    optimizer="lamb",
    learning_rate=8e-3,
    schedule="cosine",
    warmup_epochs=5,
    weight_decay=0.02,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    crop=0.95,
    interpolation="bicubic",
)
