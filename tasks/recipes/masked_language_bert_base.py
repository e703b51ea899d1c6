"""BERT-base as its paper pretrains it (arXiv 1810.04805, appendix A.2). *Not run here.*

A million updates of 256 texts. The paper makes the first 90 % of them with 128 tokens and the rest with 512; here all
have 128, and a second run with `sequence_length=512`, with this one's `vocabulary.model` as its `vocabulary` and its
`model.keras` as its `initial_weights`, does the rest. The paper draws a fixed number of tokens to guess, here every
token is drawn by itself.

    python tasks/masked_language.py tasks/recipes/masked_language_bert_base.py data=text:PATH
"""

from mixer_tf.recipe import MaskedLanguage

recipe = MaskedLanguage(
    output_dir="runs/masked_language_bert_base",
    data="text:texts",
    sequence_length=128,
    vocab_size=30522,
    evaluation_share=0.01,
    backbone="bert_base",
    backbone_arguments={"dropout": 0.1, "attention_dropout": 0.1},
    batch_size=256,
    epochs=40,
    steps=1_000_000,
    learning_rate=1e-4,
    schedule="linear",
    warmup_epochs=0.4,
    weight_decay=0.01,
    clip_norm=1.0,
)
