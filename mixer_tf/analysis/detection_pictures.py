"""The pictures of a detector: what it found in a photograph, beside the truth or alone, and its curves."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mixer_tf.analysis.detection import DetectionResult
from mixer_tf.analysis.pictures import GREY, draw_counts, new_figure, shortened
from mixer_tf.checks import require

SMALLEST = 480  # pixels of the shorter side of a picture with letters on it
NAMED = 10  # curves that can be told apart by their colours


def draw_detections(
    image: np.ndarray, boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
    """A picture with boxes, each with the name and the score of its class; the surest lie on top.

    Args:
        image: uint8 [h, w, 3].
        boxes: [m, 4], yxyx, relative to the picture.
        classes: int [m].
        scores: [m], in [0, 1]; whoever wants only the sure ones leaves the others out.
        class_names: by class.

    Returns:
        uint8 [f h, f w, 3]; f is 1 unless the shorter side is below 480 pixels, then the first whole number that makes
        it longer, so that letters do not hide the picture.

    Raises:
        ValueError: if the picture is none, or boxes, classes and scores are not as many.

    Example:
        >>> boxes, image = np.array([[0.2, 0.1, 0.9, 0.5]]), np.zeros((240, 320, 3), np.uint8)
        >>> draw_detections(image, boxes, np.array([1]), np.array([0.75]), ["cat", "dog"]).shape
        (480, 640, 3)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = np.asarray(image)
    require(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3,
        f"image must be uint8 [h, w, 3]; given: {image.dtype} {list(image.shape)}",
    )
    require(
        len(boxes) == len(classes) == len(scores),
        f"boxes, classes and scores must be as many; given: {len(boxes)}, {len(classes)} and {len(scores)}",
    )
    factor = math.ceil(SMALLEST / min(*image.shape[:2], SMALLEST))
    height, width = (factor * side for side in image.shape[:2])
    figure = Figure(figsize=((width + 0.1) / 100, (height + 0.1) / 100), dpi=100)  # Agg cuts fractions of a pixel off
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _draw_found(axes, image, boxes, classes, scores, class_names, letters=7 + max(height, width) / 250)
    axes.set_aspect("auto")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_truth_and_predictions(
    examples: Sequence[tuple[np.ndarray, Mapping, Mapping]], class_names: Sequence[str], score_threshold: float
):
    """Photographs twice: with the true boxes, and right of it with those that the detector is sure enough of.

    Objects that do not count, crowds and difficult ones, are dashed.

    Args:
        examples: of each photograph its pixels uint8 [h, w, 3], its truth and its prediction, as
            `mixer_tf.analysis.detection.evaluate_detections` takes them.
        class_names: by class.
        score_threshold: what a prediction must score to be shown.
    """
    rows = math.ceil(len(examples) / 2)
    figure = new_figure(13 if len(examples) > 1 else 6.6, 2.7 * rows + 0.3)
    cells = figure.subplots(rows, 2 * min(2, len(examples)), squeeze=False).ravel()
    for axes in cells:
        axes.set_axis_off()
    colors = _colors(len(class_names))
    for (image, truth, prediction), left, right in zip(examples, cells[::2], cells[1::2], strict=False):
        left.imshow(image)
        for box, label, crowd, difficult in zip(
            truth["boxes"], truth["classes"], truth["crowd"], truth["difficult"], strict=True
        ):
            style = "--" if crowd or difficult else "-"
            _draw_box(left, image.shape, box, shortened(class_names[label], 20), colors[label], letters=7, style=style)
        sure = prediction["scores"] >= score_threshold
        boxes, classes, scores = (prediction[name][sure] for name in ("boxes", "classes", "scores"))
        _draw_found(right, image, boxes, classes, scores, class_names, letters=7)
        left.set_title(f"truth of {truth['image_id']}", loc="left", fontsize=9)
        right.set_title(f"predictions, scores from {score_threshold:.2f}", loc="left", fontsize=9)
    return figure


def draw_precision_recall(result: DetectionResult):
    """Precision by recall at an overlap of .5, for each class."""
    names = [f"{ap:.2f}  {name}" for name, ap in zip(_names(result), result.ap50_per_class, strict=True)]
    figure, axes = _draw_curves(result, result.precisions, names)
    axes.set(xlabel="recall", ylabel="precision")
    axes.set_title(f"AP50 {result.figures['AP50']:.3f}, AP {result.figures['AP']:.3f}", loc="left")
    return figure


def draw_f1_scores(result: DetectionResult):
    """F1 at an overlap of .5 by the score from which on predictions are taken, for each class."""
    names = [f"{f1.max():.2f}  {name}" for name, f1 in zip(_names(result), result.f1_scores, strict=True)]
    figure, axes = _draw_curves(result, result.f1_scores, names)
    axes.axvline(result.best_confidence, color=GREY, linewidth=1, linestyle="--")
    axes.set(xlabel="lowest score", ylabel="F1")
    axes.set_title(f"Best from a score of {result.best_confidence:.2f}", loc="left")
    return figure


def draw_detection_confusions(result: DetectionResult):
    """Which class the detector takes for which, with background that it takes for objects, and objects that it misses.

    The classes are drawn as those of a classifier are, in `mixer_tf.analysis.pictures.draw_confusion_matrix`.
    """
    right, objects = np.trace(result.confusion_matrix), result.confusion_matrix[:-1].sum()
    title = f"{right:,} of {objects:,} objects right, scores from {result.score_threshold:.2f}"
    return draw_counts(result.confusion_matrix, [*result.class_names, "background"], title)


def _names(result: DetectionResult) -> list[str]:
    return [shortened(name, 24) for name in result.class_names]


def _draw_curves(result: DetectionResult, curves: np.ndarray, names: list[str]):
    """Every class that has objects, by colour while there are few, and their mean."""
    figure = new_figure(7.5, 4.5)
    axes = figure.subplots()
    known = np.flatnonzero(result.objects_per_class)
    few = len(known) <= NAMED
    colors = _colors(len(names))
    for label in known:
        color, text = (colors[label], names[label]) if few else ("#c8c8c8", None)
        axes.plot(result.levels, curves[label], color=color, label=text, linewidth=1.2 if few else 0.7)
    mean = curves[known].mean(axis=0)
    if len(known) > 1:
        axes.plot(result.levels, mean, color="black", linewidth=2, label=f"mean of {len(known)} classes")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.8)
    legend = axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure, axes


def _draw_found(axes, image, boxes, classes, scores, class_names, letters: float) -> None:
    axes.imshow(image)
    colors = _colors(len(class_names))
    for row in np.argsort(scores, kind="stable"):
        label = classes[row]
        text = f"{shortened(class_names[label], 20)} {scores[row]:.2f}"
        _draw_box(axes, image.shape, boxes[row], text, colors[label], letters)


def _draw_box(axes, shape, box, text: str, color: str, letters: float, style: str = "-") -> None:
    """A box, and its text above it, or within it where it begins at the upper edge."""
    from matplotlib.patches import Rectangle

    height, width = shape[:2]
    y1, x1, y2, x2 = np.clip(np.asarray(box, np.float64), 0, 1) * np.tile([height, width], 2) - 0.5
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color=color, linewidth=letters / 5, linestyle=style)
    )
    right, above, pad = x1 > 0.6 * width, y1 > 0.1 * height, letters / 7
    axes.annotate(
        text,
        (x2 if right else x1, y1),
        xytext=(-pad if right else pad, pad if above else -pad),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom" if above else "top",
        fontsize=letters,
        color="black" if _is_light(color) else "white",
        parse_math=False,
        annotation_clip=False,  # which would leave out the texts at the edges; what reaches beyond is cut off
        clip_on=True,
        bbox={"facecolor": color, "edgecolor": "none", "pad": pad},
    )


def _colors(count: int) -> list[str]:
    """Colours that differ as much as so many can: matplotlib's own ten, or hues around the circle."""
    from matplotlib.colors import to_hex, to_rgb

    if count <= NAMED:
        return [to_hex(to_rgb(f"C{index}")) for index in range(count)]
    golden = (math.sqrt(5) - 1) / 2  # turns by which neighbours lie far apart
    return [to_hex(colorsys.hsv_to_rgb(index * golden % 1, 0.85, 0.6 + 0.35 * (index % 2))) for index in range(count)]


def _is_light(color: str) -> bool:
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(color), [0.299, 0.587, 0.114])) > 0.55
