"""The pictures of a finished classifier: learning curves, confusion matrix, and the examples it gets most wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mixer_tf.analysis.classification import ClassificationResult

BLUE, RED, GREY = "#2166ac", "#d6604d", "#777777"
FRAMES = {  # kinds of units, as in `mixer_tf.data.masking`
    1: ("#00a0ff", "masked: under the learned tile"),
    2: ("#ff2020", "random: a unit of another picture"),
    3: ("#00c000", "kept: asked for as well"),
}


def draw_learning_curves(history: dict[str, np.ndarray], levels: Mapping[str, float] | None = None):
    """Loss, accuracies and AP by epoch: of training, validation and averaged weights, as far as the history has them.

    Known levels of the loss, by name, are lines across the picture. Of a model with several outputs the loss is that of
    the hidden tokens.
    """
    loss = "mlm_logits_loss" if "mlm_logits_loss" in history else "loss"
    accuracies = [name for name in history if name.endswith("accuracy") and not name.startswith(("val_", "top_"))]
    metrics = [loss, *accuracies, *(["AP"] if "val_AP" in history else [])]
    figure = new_figure(1 + 5 * len(metrics), 4)
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        _draw_curves(axes, history, metric)
        if metric == loss:
            _draw_levels(axes, levels or {})
        if metric.endswith("accuracy"):
            _write_percent(axes)
        axes.set_title(_title(metric), loc="left")
        axes.legend(frameon=False)
    return figure


def _draw_curves(axes, history: dict[str, np.ndarray], metric: str) -> None:
    kinds = [("", "training", GREY), ("val_", "validation", BLUE), ("val_ema_", "validation, averaged weights", RED)]
    for prefix, label, color in kinds:
        if f"{prefix}{metric}" not in history:
            continue
        values = history[f"{prefix}{metric}"]
        known = ~np.isnan(values)  # not every epoch need have been evaluated
        points = {"marker": "o" if known.sum() < 25 else None, "markersize": 8 if known.sum() < 4 else 3}
        axes.plot(history["epoch"][known] + 1, values[known], color=color, label=label, **points)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.8)


def _write_percent(axes) -> None:
    """As many decimals as tell the ticks apart."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(f"{{x:.{sum(high - low < span for span in (0.2, 0.02))}%}}")


def _title(metric: str) -> str:
    """`mlm_logits_loss`, of one of several outputs, reads "Token loss"."""
    title = metric.replace("mlm_logits", "token").replace("nsp_logits", "pair").replace("_", " ")
    return title[0].upper() + title[1:]


def _draw_levels(axes, levels: Mapping[str, float]) -> None:
    lowest = min((line.get_ydata().min() for line in axes.lines if line.get_ydata().size), default=0.0)
    for name, level in levels.items():
        side = "top" if level < lowest else "bottom"  # of the line, where the curves are not
        axes.axhline(level, color=GREY, linewidth=1, linestyle="--")
        axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va=side, color=GREY)
    axes.margins(y=0.12)


def draw_confusion_matrix(result: ClassificationResult):
    """Share of each true class that got each prediction.

    Up to 40 classes have their names at the axes. More have no room for them, so a list beside the matrix names the
    most frequent confusions; more than 100 share cells with their neighbours.
    """
    title = f"Accuracy {result.accuracy:.1%} of {len(result.labels):,} examples"
    return draw_counts(result.confusion_matrix, result.class_names, title)


def draw_counts(counts: np.ndarray, names: Sequence[str], title: str):
    """A confusion matrix [k, k] of any source, as `draw_confusion_matrix` draws a classifier's."""
    if len(names) <= 40:
        size = max(4.0, 0.42 * len(names) + 1.0)
        figure = new_figure(size + 1.5, size)
        axes = figure.subplots()
        _write_names_and_counts(axes, counts, names)
    else:
        figure = new_figure(14.0, 8.0)
        axes, side = figure.subplots(1, 2, width_ratios=[8, 5])
        _list_confusions(side, counts, names)
    group = math.ceil(len(names) / 100)
    shares = _row_shares(_pooled(counts, group))
    end = len(shares) * group - 0.5
    image = axes.imshow(shares, cmap="Blues", norm=_power_norm(), extent=(-0.5, end, end, -0.5), interpolation="none")
    cells = f", in cells of {group} x {group} classes" if group > 1 else ""
    axes.set_title(f"{title}{cells}", loc="left")
    axes.set(xlabel="prediction", ylabel="truth")
    figure.colorbar(image, ax=axes, format="{x:.0%}", shrink=0.6, aspect=30, label="share of the true class")
    return figure


def draw_most_wrong(result: ClassificationResult, pictures: Sequence[np.ndarray] | Mapping[int, np.ndarray]):
    """The examples with the highest loss, each with its true class and what the model said instead."""
    indices = result.most_wrong()
    columns = min(6, len(indices))
    rows = math.ceil(len(indices) / columns)
    figure = new_figure(2.1 * columns, 2.6 * rows + 0.3)
    figure.suptitle(
        "Highest losses: the true class, and below it the prediction (red: wrong)", fontsize=11, x=0.01, ha="left"
    )
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells:
        axes.set_axis_off()
    for axes, index in zip(cells, indices, strict=False):
        _draw_example(axes, pictures[index], result, index)
    return figure


def draw_hidden_parts(rows: Mapping[str, np.ndarray], kinds: np.ndarray, caption: str):
    """Pictures of the same place in different states, with frames around the units that were asked for.

    Args:
        rows: for each state a row of pictures of any size: `{"truth": uint8 [n, H, W, 3], ...}`.
        kinds: of each unit, int [n, h, w], as in `mixer_tf.data.masking`; 0 has no frame.
        caption: what the rows show.
    """
    from matplotlib.patches import Patch

    count, height, width = kinds.shape
    figure = new_figure(max(7.0, 1.4 * count + 1), 1.5 * len(rows) + 1)
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left")
    grid = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes, picture, units in zip(line, pictures, kinds, strict=True):
            axes.imshow(picture, interpolation="nearest", extent=(0, width, height, 0))
            axes.set(xticks=[], yticks=[])
            _draw_frames(axes, units)
        line[0].set_ylabel(name)
    meanings = [Patch(fill=False, edgecolor=color, label=label, linewidth=1.5) for color, label in FRAMES.values()]
    figure.legend(handles=meanings, loc="outside lower left", ncols=len(meanings), frameon=False, fontsize=9)
    return figure


def _draw_frames(axes, units: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    for row, column in np.argwhere(units):
        color, _ = FRAMES[int(units[row, column])]
        axes.add_patch(Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, fill=False, edgecolor=color, linewidth=1.2))


def save(figure, path: Path) -> Path:
    """Write a figure as a PNG file."""
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.15)
    return path


def new_figure(width: float, height: float):
    """A figure of so many inches. It belongs to no window and no global state: saving as PNG draws it with Agg."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _pooled(matrix: np.ndarray, group: int) -> np.ndarray:
    """The sums over cells of `group` by `group`."""
    missing = -len(matrix) % group
    padded = np.pad(matrix, (0, missing))
    return padded.reshape(len(padded) // group, group, -1, group).sum(axis=(1, 3))


def _row_shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _write_names_and_counts(axes, counts: np.ndarray, names: Sequence[str]) -> None:
    names = [shortened(name, 20) for name in names]
    slope = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slope)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    shares = _row_shares(counts)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.4 else "black"
            size = 9 if len(names) <= 12 else 7
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=size, color=color)


def _list_confusions(axes, counts: np.ndarray, names: Sequence[str], count: int = 30) -> None:
    """The most frequent mistakes by name."""
    errors = _row_shares(counts)
    np.fill_diagonal(errors, 0.0)
    worst = [divmod(int(index), len(errors)) for index in np.argsort(-errors, axis=None, kind="stable")[:count]]
    names = [shortened(name, 24) for name in names]
    lines = [
        f"{errors[row, column]:.0%}   {names[row]} → {names[column]}" for row, column in worst if errors[row, column]
    ]
    axes.set_axis_off()
    axes.set_title("Most frequent confusions, truth → prediction", loc="left")
    axes.text(0, 0.98, "\n".join(lines), va="top", fontsize=8, linespacing=1.8, parse_math=False)


def _draw_example(axes, picture: np.ndarray, result: ClassificationResult, index: int) -> None:
    height, width = picture.shape[:2]
    side = max(height, width)  # a square for every picture, so that the titles of a row are level
    axes.imshow(picture)
    axes.set(xlim=((width - side) / 2 - 0.5, (width + side) / 2 - 0.5))
    axes.set(ylim=((height + side) / 2 - 0.5, (height - side) / 2 - 0.5))
    truth, prediction = result.class_names[result.labels[index]], result.class_names[result.predictions[index]]
    color = BLUE if result.predictions[index] == result.labels[index] else RED
    said = f"{shortened(prediction, 20)} {result.probabilities[index]:.0%}"
    axes.set_title(shortened(truth, 26), fontsize=9, pad=16, parse_math=False)
    axes.text(0.5, 1.03, said, transform=axes.transAxes, ha="center", fontsize=8, color=color, parse_math=False)


def shortened(name: str, length: int) -> str:
    """A name that fits; ImageNet's are lists of synonyms, of which the first is enough."""
    if len(name) > length:
        name = name.partition(",")[0]
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def _power_norm():
    """Colours that show a share of 1 % as well as one of 100 %."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=1)
