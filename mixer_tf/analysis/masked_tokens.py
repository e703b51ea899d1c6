"""How well masked tokens are guessed, and how far that is from the best that anyone could do."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mixer_tf.checks import require
from mixer_tf.data.masking import NOT_SCORED

KINDS = ("masked", "random", "kept")  # kinds 1, 2 and 3 of `mixer_tf.data.masking`; 0 is not scored
CHUNK = 2**22  # logits that are in float64 at a time: 32 MB
LEAK_STANDARD_ERRORS = 4
ROUNDING = 1e-6  # nats; of logits in float32, where a model equals the best one


@dataclasses.dataclass(frozen=True)
class MaskedTokenResult:
    """The figures of a model on its scored tokens.

    Attributes:
        num_tokens: scored tokens.
        num_sequences: sequences with at least one.
        metrics: by name. `masked_loss` is the mean cross-entropy of a scored token in nats, `perplexity` its
            exponential, `masked_accuracy` and `masked_top_5_accuracy` shares in [0, 1]; all but the perplexity also by
            what the model saw of the token, as in `masked_loss_masked`, `masked_loss_random` and `masked_loss_kept`,
            for kinds that occur. With an oracle `bayes_loss`, its loss on the same tokens; `gap`, how much the model's
            is above that; and `gap_standard_error`, for which the sequences are the independent draws.
    """

    num_tokens: int
    num_sequences: int
    metrics: dict[str, float]


class MaskedTokenFigures:
    """Adds up the figures batch by batch, so that no two batches of logits are held at a time.

    Example:
        >>> figures = MaskedTokenFigures()
        >>> logits = np.log([[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]])
        >>> figures.update(logits, labels=np.array([[0, 1]]), kinds=np.array([[1, 0]]))
        >>> round(figures.result().metrics["perplexity"], 6)
        2.0
    """

    def __init__(self):
        self._sums = np.zeros((4, 1 + len(KINDS)))  # tokens, loss, right, among the first five; by kind
        self._sequences: list[np.ndarray] = []  # [tokens, loss of the oracle, gap] of each sequence
        self._has_oracle: bool | None = None

    def update(
        self, logits: np.ndarray, labels: np.ndarray, kinds: np.ndarray, oracle: np.ndarray | None = None
    ) -> None:
        """Take in a batch of n sequences or pictures.

        Args:
            logits: float [n, ..., v], or log-probabilities; -inf is allowed but for the labels.
            labels: int [n, ...], the true tokens.
            kinds: int [n, ...]: 0 not scored, 1 masked, 2 random, 3 kept.
            oracle: float [n, ...], the log-probability that the best model gives each label; for all batches or none.

        Raises:
            ValueError: if shapes do not fit, a label is no class, a kind is unknown, or a scored token's loss is not
                finite.
        """
        logits, labels, kinds = np.asarray(logits), np.asarray(labels), np.asarray(kinds)
        oracle = None if oracle is None else np.asarray(oracle, np.float64)
        self._check(logits, labels, kinds, oracle)
        scored = kinds != NOT_SCORED
        losses, ranks = _losses_and_ranks(logits[scored], labels[scored])
        _require_finite("logits", losses)
        figures = np.stack([np.ones_like(losses), losses, ranks < 1, ranks < 5])
        for sums, values in zip(self._sums, figures, strict=True):
            sums += np.bincount(kinds[scored], values, minlength=len(sums))
        best = np.zeros_like(losses) if oracle is None else -oracle[scored]
        _require_finite("oracle", best)
        sequence = np.broadcast_to(np.arange(len(kinds)).reshape(-1, *[1] * (kinds.ndim - 1)), kinds.shape)[scored]
        columns = [np.bincount(sequence, x, len(kinds)) for x in (np.ones_like(losses), best, losses - best)]
        self._sequences.append(np.stack(columns, axis=-1))

    def result(self) -> MaskedTokenResult:
        """Sum up what was taken in.

        Raises:
            ValueError: if no token was scored, or with an oracle only those of one sequence.
        """
        count = self._sums[0].sum()
        require(count > 0, "at least one token must be scored to sum up; given: none")
        sequences = np.concatenate(self._sequences)
        sequences = sequences[sequences[:, 0] > 0]
        metrics = self._by_kind()
        if self._has_oracle:
            metrics |= {"bayes_loss": float(sequences[:, 1].sum() / count), **_gap(sequences)}
        return MaskedTokenResult(int(count), len(sequences), metrics)

    def _by_kind(self) -> dict[str, float]:
        def means(sums: np.ndarray, suffix: str) -> dict[str, float]:
            names = ("masked_loss", "masked_accuracy", "masked_top_5_accuracy")
            return {name + suffix: float(total / sums[0]) for name, total in zip(names, sums[1:], strict=True)}

        metrics = means(self._sums.sum(axis=1), "")
        metrics["perplexity"] = float(np.exp(metrics["masked_loss"]))
        for kind, name in enumerate(KINDS, start=1):
            if self._sums[0, kind]:
                metrics |= means(self._sums[:, kind], f"_{name}")
        return metrics

    def _check(self, logits, labels, kinds, oracle):
        require(
            kinds.ndim >= 1
            and labels.shape == kinds.shape == logits.shape[:-1]
            and (oracle is None or oracle.shape == kinds.shape),
            "logits [n, ..., v], labels, kinds and an oracle [n, ...] must fit together; given: "
            f"{logits.shape}, {labels.shape}, {kinds.shape}{'' if oracle is None else f' and {oracle.shape}'}",
        )
        require(
            np.issubdtype(kinds.dtype, np.integer) and np.isin(kinds, range(1 + len(KINDS))).all(),
            f"kinds must be integers from 0 to {len(KINDS)}; given: {kinds.dtype} {np.unique(kinds)[:9].tolist()}",
        )
        scored = labels[kinds != NOT_SCORED]
        require(
            np.issubdtype(labels.dtype, np.integer) and ((scored >= 0) & (scored < logits.shape[-1])).all(),
            f"labels of scored tokens must be integers from 0 to {logits.shape[-1] - 1}; given: {labels.dtype} "
            f"{np.unique(scored)[[0, -1]].tolist() if scored.size else ''}",
        )
        require(
            self._has_oracle in (None, oracle is not None),
            "an oracle must be given for all batches or for none; given: for some",
        )
        self._has_oracle = oracle is not None


def require_no_leak(result: MaskedTokenResult) -> None:
    """Refuse a loss that is below the best possible one by more than chance.

    Raises:
        ValueError: if the gap is below zero by more than four standard errors, or there was no oracle.
    """
    require("gap" in result.metrics, "a result must have an oracle's loss to show a leak; given: none")
    gap, error = result.metrics["gap"], result.metrics["gap_standard_error"]
    require(
        gap >= -LEAK_STANDARD_ERRORS * error - ROUNDING,
        f"masked_loss must not be below bayes_loss {result.metrics['bayes_loss']:.4f} by more than "
        f"{LEAK_STANDARD_ERRORS} standard errors of {error:.4f}; given: {result.metrics['masked_loss']:.4f}; the model "
        "sees what it has to guess: look for a leak",
    )


def _losses_and_ranks(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy and number of classes before the label, of logits [m, v]; of equal ones the first is before."""
    losses, ranks = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    rows = max(1, CHUNK // logits.shape[-1])
    for start in range(0, len(labels), rows):
        part = slice(start, start + rows)
        x, label = logits[part].astype(np.float64), labels[part, np.newaxis]
        true = np.take_along_axis(x, label, axis=1)
        ahead = (x > true) | ((x == true) & (np.arange(x.shape[1]) < label))
        ranks[part] = ahead.sum(axis=1)
        with np.errstate(invalid="ignore"):  # what is not finite is refused by the caller
            top = x.max(axis=1, keepdims=True)
            losses[part] = (np.log(np.exp(x - top).sum(axis=1, keepdims=True)) + (top - true))[:, 0]
    return losses, ranks


def _gap(sequences: np.ndarray) -> dict[str, float]:
    """Mean gap of a token and its standard error, from rows [tokens, oracle's loss, gap] of independent sequences.

    Tokens of one sequence are dependent, and sequences have different numbers of them: the ratio of two means over
    sequences, whose error is that of its linear form.
    """
    tokens, gaps, n = sequences[:, 0], sequences[:, 2], len(sequences)
    require(n > 1, "tokens of at least two sequences must be scored for a standard error; given: of one")
    gap = gaps.sum() / tokens.sum()
    error = math.sqrt(n / (n - 1) * np.sum((gaps - gap * tokens) ** 2)) / tokens.sum()
    return {"gap": float(gap), "gap_standard_error": float(error)}


def _require_finite(name: str, losses: np.ndarray) -> None:
    wrong = int(np.sum(~np.isfinite(losses)))
    require(not wrong, f"{name} must give every scored label a probability above 0; given: {wrong} tokens without one")
