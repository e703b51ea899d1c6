"""X."""

from mixer_tf.recipe import MaskedLanguage

recipe = MaskedLanguage(
    output_dir="runs/masked_language_transformer",
    data="markov",
    sequence_length=34,
    pair_task=None,
    backbone="bert",
    backbone_arguments={"num_blocks": 2, "hidden_dim": 64, "num_heads": 4, "mlp_dim": 256},
    batch_size=128,
    epochs=4,
    learning_rate=2e-3,
    warmup_epochs=0.1,
    weight_decay=0.01,
    clip_norm=1.0,
    export=False,
)
