"""BERT on a few hundred Japanese and English sentences, with the lecture's question at the end.

Measured on 2 cores of an Intel Xeon (AVX-512, AMX), TensorFlow 2.21 on the CPU, float32: 599,330 parameters and
125 s of training; in held-out texts 25 % of the hidden tokens are guessed right. The lecture's sentence is among those
that it was trained on.

    python tasks/masked_language.py tasks/recipes/masked_language_sentences.py
    python tasks/masked_language.py tasks/recipes/masked_language_sentences.py fill="the cat sat on the [MASK]."
"""

from mixer_tf.recipe import MaskedLanguage

recipe = MaskedLanguage(
    output_dir="runs/masked_language_sentences",
    data="sentences",
    sequence_length=32,
    vocab_size=800,
    evaluation_share=0.1,
    pair_task="nsp",
    backbone="bert",
    backbone_arguments={"num_blocks": 2, "hidden_dim": 128, "num_heads": 4, "mlp_dim": 512, "dropout": 0.1},
    batch_size=32,
    epochs=400,
    evaluate_every=20,
    learning_rate=1e-3,
    warmup_epochs=10,
    weight_decay=0.01,
    clip_norm=1.0,
    fill=("吾輩[MASK]猫である。", "[MASK]はまだ無い。"),
)
