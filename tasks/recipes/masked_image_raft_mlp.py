"""RaftMLP on hidden colours, two stages.

MEASURED

    python tasks/masked_image.py tasks/recipes/masked_image_raft_mlp.py
"""

from mixer_tf.recipe import MaskedImage

recipe = MaskedImage(
    output_dir="runs/masked_image_raft_mlp",
    data="markov",
    image_size=32,
    patch_size=4,
    backbone="raft_mlp",
    backbone_arguments={
        "stage_depths": (2, 2),
        "stage_widths": (48, 96),
        "patch_sizes": (4, 2),
        "raft_sizes": (2, 2),
        "embedding_kernels": ((4, 8), (2, 4)),
    },
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.05,
    clip_norm=1.0,
    export=False,
)
