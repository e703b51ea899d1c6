"""The figures of a trained model of masked tokens, over all batches of an evaluation."""

from __future__ import annotations

import numpy as np

from mixer_tf.analysis.masked_tokens import MaskedTokenFigures, require_no_leak
from mixer_tf.analysis.oracles import Oracle
from mixer_tf.data.masking import NOT_SCORED


def evaluate_masked_tokens(model, batches, *, marginal: np.ndarray, oracle: Oracle | None = None) -> dict[str, float]:
    """Compare what a model says of hidden tokens with what stood there.

    Args:
        model: a `mixer_tf.masked_language_model`, `mixer_tf.causal_language_model` or `mixer_tf.masked_image_model`.
        batches: of `mixer_tf.data.masked_texts` or `mixer_tf.data.masked_images`.
        marginal: log-probabilities float [v] of the tokens by themselves, as of `marginal_of`.
        oracle: the best guesses, where the source is known (`mixer_tf.analysis.oracles`).

    Returns:
        The figures of `mixer_tf.analysis.masked_tokens.MaskedTokenResult`; `scored_tokens`, the number of hidden tokens
        that they rest on; `marginal_loss`, of who always says
        `marginal`; with the head for pairs `pair_accuracy`, and `pair_share`, how many of the pairs follow each other.

    Raises:
        ValueError: if the loss is better than the best possible one: the model sees what it has to guess.
    """
    logits_of = _graph_of(model)
    figures, pairs, counts = MaskedTokenFigures(), [], np.zeros(len(marginal))
    for batch in batches:
        outputs = logits_of({name: batch[name] for name in model.input})
        logits = outputs["mlm_logits"] if isinstance(outputs, dict) else outputs
        labels, kinds = batch["labels"].numpy(), batch["kinds"].numpy()
        figures.update(logits.numpy(), labels, kinds, None if oracle is None else oracle(batch))
        counts += np.bincount(labels[kinds != NOT_SCORED], minlength=len(counts))
        if isinstance(outputs, dict):
            said = np.argmax(outputs["nsp_logits"], axis=-1) == 0  # index 0: it follows
            pairs.append(np.stack([said, batch["is_next"].numpy() == 1]))
    result = figures.result()
    if oracle is not None:
        require_no_leak(result)
    metrics = result.metrics | {"scored_tokens": result.num_tokens}
    metrics |= {"marginal_loss": float(-(counts * marginal).sum() / counts.sum())}
    if pairs:
        said, true = np.concatenate(pairs, axis=1)
        metrics |= {"pair_accuracy": float(np.mean(said == true)), "pair_share": float(np.mean(true))}
    return metrics


def evaluate_masked_pixels(model, batches) -> dict[str, float]:
    """The mean absolute error of hidden patches, in units of each patch's own standard deviation.

    Returns:
        `masked_loss`, and `marginal_loss`, of who always says 0, the patch's own mean.
    """
    predict, total, zeros, count = _graph_of(model), 0.0, 0.0, 0
    for batch in batches:
        hidden = batch["kinds"].numpy() != NOT_SCORED
        labels = batch["labels"].numpy()[hidden]  # [m, 3 t t]
        predicted = predict({name: batch[name] for name in model.input}).numpy()[hidden]
        total += np.abs(predicted - labels).mean(axis=-1).sum()
        zeros += np.abs(labels).mean(axis=-1).sum()
        count += len(labels)
    return {"masked_loss": float(total / count), "marginal_loss": float(zeros / count)}


def marginal_of(batches, num_classes: int) -> np.ndarray:
    """How often each label occurs, as log-probabilities float64 [num_classes]; one is added to every count."""
    counts = np.ones(num_classes)
    for batch in batches:
        counts += np.bincount(batch["labels"].numpy()[batch["kinds"].numpy() != NOT_SCORED], minlength=num_classes)
    return np.log(counts / counts.sum())


def _graph_of(model):
    import tensorflow as tf

    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
