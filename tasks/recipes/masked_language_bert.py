"""A Transformer in BERT's form on the text of a Markov chain, of which the best possible loss is known.

MEASURED

    python tasks/masked_language.py tasks/recipes/masked_language_bert.py
"""

from mixer_tf.recipe import MaskedLanguage

recipe = MaskedLanguage(
    output_dir="runs/masked_language_bert",
    data="markov",
    sequence_length=34,
    pair_task=None,
    backbone="bert",
    backbone_arguments={"num_blocks": 3, "hidden_dim": 96, "num_heads": 4, "mlp_dim": 384},
    batch_size=128,
    epochs=4,
    learning_rate=1e-3,
    warmup_epochs=0.2,
    weight_decay=0.01,
    clip_norm=1.0,
    export=False,
)
