"""From what a detector says of every place to its objects, by TensorFlow's own kernel."""

from typing import Any


def best_objects(
    boxes, logits, *, score_threshold: float, iou_threshold: float, max_detections: int, max_candidates: int
) -> dict[str, Any]:
    """Non-maximum suppression: of boxes of one class that overlap, the one with the highest score is kept.

    Boxes of different classes do not suppress each other, and a place may have several classes.

    Args:
        boxes: float32 `[b, n, 4]`, y1, x1, y2, x2 as shares of the picture's height and width.
        logits: float32 `[b, n, k]`.
        score_threshold: least probability of an object, 0 to 1.
        iou_threshold: largest intersection over union of two boxes of one class, 0 to 1.
        max_detections: number of rows of the result, d.
        max_candidates: number of places with the highest scores that are looked at.

    Returns:
        `boxes` `[b, d, 4]` in [0, 1], `scores` `[b, d]`, falling, `classes` int32 `[b, d]`, `num_detections` int32
        `[b]`; behind that many, boxes, scores and classes are -1.
    """
    import tensorflow as tf

    scores = tf.sigmoid(logits)
    _, best = tf.math.top_k(tf.reduce_max(scores, axis=-1), min(max_candidates, boxes.shape[1]))
    boxes, scores = (tf.gather(x, best, batch_dims=1) for x in (boxes, scores))
    boxes, scores, classes, count = tf.image.combined_non_max_suppression(
        tf.clip_by_value(boxes, 0.0, 1.0)[:, :, tf.newaxis],  # before they are compared: what is outside counts nowhere
        scores,
        max_output_size_per_class=max_detections,
        max_total_size=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
    )
    is_object = tf.range(max_detections) < count[:, tf.newaxis]
    return {
        "boxes": tf.where(is_object[..., tf.newaxis], boxes, -1.0),
        "scores": tf.where(is_object, scores, -1.0),
        "classes": tf.where(is_object, tf.cast(classes, tf.int32), -1),
        "num_detections": count,
    }
