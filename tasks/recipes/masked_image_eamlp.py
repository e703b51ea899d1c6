"""EAMLP on hidden colours, places of 16 pixels, which its stem makes.

MEASURED

    python tasks/masked_image.py tasks/recipes/masked_image_eamlp.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_eamlp",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="eamlp",
    backbone_arguments={"num_blocks": 3, "hidden_dim": 64, "num_heads": 2, "mlp_dim": 128, "stem_dim": 32},
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
