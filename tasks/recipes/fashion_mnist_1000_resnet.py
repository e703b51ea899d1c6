"""ResNet on 1,000 labelled pictures of Fashion-MNIST, to see what pretraining on the others is worth.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32, means of three seeds:
80.5 % of the 10,000 test pictures from random weights, 82.5 % from pretraining.

    python tasks/image_classification.py tasks/recipes/fashion_mnist_1000_resnet.py

and after pretraining with output_dir=runs/pretrained_resnet
initial_weights=runs/masked_image_fashion_mnist_resnet/model.keras
"""

from mixer_tf.recipe import ImageClassification

recipe = ImageClassification(
    output_dir="runs/fashion_mnist_1000_resnet",
    data="tfds:fashion_mnist",
    train_split="train[:1000]",
    eval_split="test",
    image_size=32,
    backbone="resnet",
    backbone_arguments={"block": "basic", "stage_depths": (2, 2), "stage_widths": (48, 96), "stem_dim": 48},
    batch_size=50,
    epochs=50,
    evaluate_every=50,
    learning_rate=1e-3,
    warmup_epochs=5,
    weight_decay=0.05,
    label_smoothing=0.1,
    flip=True,
    padded_crop=2,
    clip_norm=1.0,
    export=False,
)
