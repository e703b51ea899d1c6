"""A small BERT on your own texts. *Not run here* as it stands: it needs `data=text:FILE_OR_FOLDER`.

    python tasks/masked_language.py tasks/recipes/masked_language_text.py data=text:PATH

An empty line ends a document. The vocabulary is trained on the way, unless `vocabulary=` names one.
"""

from mixer_tf.recipe import MaskedLanguage

recipe = MaskedLanguage(
    output_dir="runs/masked_language_text",
    data="text:texts",
    sequence_length=128,
    vocab_size=8000,
    backbone="bert",
    backbone_arguments={"num_blocks": 4, "hidden_dim": 256, "num_heads": 4, "mlp_dim": 1024, "dropout": 0.1},
    batch_size=64,
    epochs=20,
    learning_rate=5e-4,
    warmup_epochs=1,
    weight_decay=0.01,
    clip_norm=1.0,
)
