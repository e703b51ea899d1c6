"""ViT-B/16 on hidden patches with the settings of its paper (arXiv 2010.11929, appendix B.1.2). *Not run here.*

Half of the patches of 224x224 pictures are to be guessed, as mean colours of 3 bits a channel; Adam with a learning
rate of 2e-4, 10,000 updates of warm-up, a cosine, 4,096 pictures an update. The paper makes a million updates on JFT's
300 million pictures, which are not public; here it is ImageNet. The paper hides the patches' embeddings; here their
pixels are hidden, which is the same for patches that do not overlap.

    python tasks/masked_image.py tasks/recipes/masked_image_vit_b16.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_vit_b16",
    data="tfds:imagenet2012",
    backbone="vit_b16",
    batch_size=4096,
    epochs=300,
    learning_rate=2e-4,
    warmup_epochs=32,
    random_resized_crop=(0.2, 1.0),
    flip=True,
    precision="mixed_bfloat16",
    export=False,
)
