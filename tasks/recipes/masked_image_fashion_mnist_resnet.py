"""ResNet on hidden parts of Fashion-MNIST's 60,000 training pictures, without their labels.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: from the features a linear
model tells 82.3 % of the test pictures' classes, the 20 nearest neighbours 78.3 %; 405,168 parameters, 239 s of
training.

    python tasks/masked_image.py tasks/recipes/masked_image_fashion_mnist_resnet.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_fashion_mnist_resnet",
    data="tfds:fashion_mnist",
    image_size=32,
    patch_size=4,
    target="pixels",
    backbone="resnet",
    backbone_arguments={"block": "basic", "stage_depths": (2, 2), "stage_widths": (48, 96), "stem_dim": 48},
    batch_size=128,
    epochs=4,
    learning_rate=2e-3,
    warmup_epochs=0.5,
    weight_decay=0.05,
    flip=True,
    padded_crop=2,
    clip_norm=1.0,
    export=False,
)
